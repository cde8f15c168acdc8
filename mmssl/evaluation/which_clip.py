"""Which video a window of frames comes from, by its nearest neighbor among windows from earlier in the videos."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from mmssl.config import digest
from mmssl.data.dataset import ClipItem, ClipSource
from mmssl.errors import EvaluationError
from mmssl.evaluation.order_heads import DRAWS_TO_SCORE, MOST_DIMENSIONS, frames_needed, order_answers
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject
from mmssl.retrieval.embeddings import EmbeddingTable, embed_clips
from mmssl.retrieval.index import Index
from mmssl.retrieval.over_time import IN_WORDS, OverTime
from mmssl.retrieval.over_time import over_time as kept_over_time

MIDDLE_GREY = 128


class ChangeAlone:
    """Clips without what stays: each frame less the clip's median, on middle grey; a `ClipSource` itself.

    Args:
        source: Where the clips are.
    """

    def __init__(self, source: ClipSource) -> None:
        self._source = source

    @property
    def items(self) -> Sequence[ClipItem]:
        """One for each clip."""
        return self._source.items

    @property
    def digest(self) -> str:
        """Names the content."""
        return digest([self._source.digest, "change alone"])

    def __len__(self) -> int:
        return len(self._source)

    def clips(self, indices: Sequence[int], *, epoch: int = 0) -> UInt8[Tensor, "batch frames 3 height width"]:
        """The clips at some positions."""
        clips = self._source.clips(indices, epoch=epoch)
        still = clips.median(1, keepdim=True).values.to(torch.int16)
        return (clips.to(torch.int16) - still + MIDDLE_GREY).clamp_(0, 255).to(torch.uint8)


def which_clip(
    subject: Subject,
    *,
    over_time: tuple[OverTime, ...] = ("mean", "std"),
    max_step: int = 1,
    num_steps: int = 400,
    hidden_dim: int = 64,
) -> list[ReportRow]:
    """Finds the video of each late window by its nearest neighbor among the early windows of all videos.

    A window is early where it ends before the middle of its video, late where it begins after it. Features that know a video
    by its background find it as long as the background is there. So each score stands twice: on the frames as they are, and
    with what stays still in the window removed from every frame, which leaves motion alone. And the frames of late windows
    are shuffled: heads that learn from early windows must tell the order, of which the background says nothing.

    Args:
        subject: Its clips, several of each row, as the sampler `windows` gives them.
        over_time: What embeddings keep of a window's frames, one after the other; see `retrieval.over_time`.
        max_step: See `evaluation.frame_order`, like the two that follow.
        num_steps: Of the heads that tell the order.
        hidden_dim: Of these heads.

    Returns:
        Top-1 and, of each query, the reciprocal rank of its own video's nearest window, for each of `over_time`; then the
        order and sorting accuracy on late windows, the first for each video too.

    Raises:
        EvaluationError: If there are no clips, they have no timestamps or too few frames, or fewer than two videos have early
            and late windows.
    """
    clips = subject.clips
    if clips is None:
        raise EvaluationError("which_clip embeds clips without what stays still; give `clips`")
    early, late = _early_and_late(clips.items)
    rows_of = np.array([item.row_id for item in clips.items], dtype=object)
    num_videos = len(set(rows_of[early]))

    add = partial(_scored, partial(subject.row, "which_clip", split="all", num_items=len(late)))
    rows: list[ReportRow] = []
    for source, of_what, what in (
        (clips, "", "frames as they are"),
        (ChangeAlone(clips), " of change alone", "the window's median is removed from each of its frames"),
    ):
        every = subject.embeddings("concat") if source is clips else _every_frame(subject, source)
        frames = _frames(every, subject)
        for keep in over_time:
            table = replace(every, embeddings=kept_over_time(frames, keep=keep).numpy(), over_time=keep)
            ranks = _ranks(table, early, late, rows_of)
            protocol = (
                f"The video of each of {len(late)} windows from the second half of {num_videos} videos is that of its nearest "
                f"neighbor by cosine similarity (exact search) among {len(early)} windows from the first halves; a window's "
                f"embedding is {IN_WORDS[keep]}; {what}."
            )
            guess = "A guess among the videos."
            of_rank = sum(1 / (n + 1) for n in range(num_videos)) / num_videos
            name = f"{keep}{of_what}"
            rows += add(f"top1 {name}", float((ranks == 1).mean()), protocol, 1 / num_videos, guess)
            rows += add(f"reciprocal rank {name}", float((1 / ranks).mean()), protocol, of_rank, guess)

    frames = _frames(subject.embeddings("concat"), subject)
    if frames.shape[1] < frames_needed(max_step):
        raise EvaluationError(
            f"which_clip with max_step {max_step} needs windows of at least {frames_needed(max_step)} frames, these have "
            f"{frames.shape[1]}; decode longer windows"
        )
    answers = order_answers(
        frames[early], frames[late], seed=subject.seed, max_step=max_step, num_steps=num_steps, hidden_dim=hidden_dim
    )
    protocol = (
        f"A head with one hidden layer of {hidden_dim} learns from {len(early)} windows of the first halves, on frozen, "
        f"standardised embeddings (their first {MOST_DIMENSIONS} principal components where there are more), and is asked about "
        f"{len(late)} windows of the second halves, {DRAWS_TO_SCORE} draws each; gaps of 1 to {max_step} frames"
    )
    by_video = _by_video(rows_of[late].tolist(), answers.order_accuracy)
    if subject.out is not None:
        _draw_by_video(subject.out / "order_by_video.png", by_video)
    rows += add(
        "order accuracy",
        float(answers.order_accuracy.mean()),
        f"{protocol}; whether the middle of three frames lies between the others; yes and no weigh alike.",
        0.5,
        "A guess.",
        videos=by_video,
    )
    rows += add(
        "sorting accuracy",
        float(answers.sorting_accuracy.mean()),
        f"{protocol}; in which of 12 orders four frames are shown; forward and backward are one.",
        1 / answers.num_classes,
        "A guess.",
    )
    return rows


def _scored(
    row: Callable[..., ReportRow],
    metric: str,
    value: float,
    protocol: str,
    chance: float,
    guess: str,
    **detail: object,
) -> list[ReportRow]:
    """An encoder's score, and what guessing gives."""
    return [
        row(metric, value, protocol=protocol, detail=detail),
        row(metric, chance, protocol=guess, encoder="chance"),
    ]


def _frames(table: EmbeddingTable, subject: Subject) -> Float[Tensor, "windows frames dim"]:
    return torch.from_numpy(np.array(table.embeddings)).reshape(len(table), -1, subject.encoder.encoder.dim)


def _by_video(videos: Sequence[str], accuracy: Float[Tensor, " windows"]) -> dict[str, float]:
    """The mean over the windows of each video, the highest first."""
    of_each: dict[str, list[float]] = {}
    for video, value in zip(videos, accuracy.tolist(), strict=True):
        of_each.setdefault(video, []).append(value)
    return dict(sorted(((video, fmean(values)) for video, values in of_each.items()), key=lambda mean: -mean[1]))


def _draw_by_video(path: Path, accuracy: Mapping[str, float]) -> None:
    """A bar a video."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 0.6 + 0.22 * len(accuracy)), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(range(len(accuracy)), list(accuracy.values()), color="#4c78a8")
    axes.axvline(0.5, color="black", linewidth=1, linestyle=":")
    axes.set_yticks(range(len(accuracy)), list(accuracy), fontsize=7)
    axes.margins(y=0.01)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("order accuracy in the second half (dotted: a guess)")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _every_frame(subject: Subject, source: ClipSource) -> EmbeddingTable:
    return embed_clips(subject.encoder, source, keep="concat", device=subject.device)


def _early_and_late(items: Sequence[ClipItem]) -> tuple[Int[np.ndarray, " early"], Int[np.ndarray, " late"]]:
    """Positions of the windows on either side of the middle of their video, of videos that have both."""
    if any(not item.pts_seconds for item in items):
        raise EvaluationError("the clips have no timestamps; decode them to a store, not on the fly")
    spans: dict[str, tuple[float, float]] = {}
    for item in items:
        begin, end = spans.get(item.row_id, (float("inf"), float("-inf")))
        spans[item.row_id] = min(begin, item.pts_seconds[0]), max(end, item.pts_seconds[-1])
    early: dict[str, list[int]] = {}
    late: dict[str, list[int]] = {}
    for place, item in enumerate(items):
        middle = sum(spans[item.row_id]) / 2
        if item.pts_seconds[-1] < middle:
            early.setdefault(item.row_id, []).append(place)
        elif item.pts_seconds[0] > middle:
            late.setdefault(item.row_id, []).append(place)
    both = sorted(early.keys() & late.keys())
    if len(both) < 2:
        raise EvaluationError(
            f"{len(both)} videos have windows before and after their middle, two are needed; decode with the sampler windows"
        )
    return tuple(np.array([place for row in both for place in found[row]]) for found in (early, late))  # type: ignore[return-value]


def _ranks(
    table: EmbeddingTable, early: Int[np.ndarray, " early"], late: Int[np.ndarray, " late"], rows_of: np.ndarray
) -> Int[np.ndarray, " late"]:
    """Of each late window, the place of its own video among all videos by their nearest early window."""
    index = Index.from_table(table.subset(early.tolist()))
    found = index.search(np.asarray(table.embeddings[late]), len(early))
    ranks = []
    for query, neighbors in zip(late, found.positions, strict=True):
        videos = list(dict.fromkeys(rows_of[early[neighbors]].tolist()))
        ranks.append(videos.index(rows_of[query]) + 1)
    return np.array(ranks)
