"""Whether frozen embeddings tell the order of frames: small heads learn it on one split and are scored on another."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmssl.errors import EvaluationError
from mmssl.evaluation.order_heads import (
    DRAWS_TO_SCORE,
    MOST_DIMENSIONS,
    NUM_SORTED,
    frames_needed,
    order_answers,
)
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject
from mmssl.functional.order import sorting_orders
from mmssl.retrieval.embeddings import EmbeddingTable


def frame_order(
    subject: Subject,
    *,
    train_split: str = "train",
    test_split: str = "test",
    max_step: int = 2,
    num_steps: int = 400,
    hidden_dim: int = 64,
) -> list[ReportRow]:
    """Scores how well the order of frames is read off frozen embeddings by a head that learns it on other clips.

    Five frames of a clip are drawn with gaps of 1 to `max_step` frames. Two questions are put to heads of their own: whether
    the middle one of three lies between the others (`order accuracy`, half of the questions are to be answered with yes), and
    which of the 12 orders four of them are shown in (`sorting accuracy`).

    Args:
        subject: Its clips, of several frames each, or a table of embeddings that keeps all of them (`concat`).
        train_split: Split that the heads learn on.
        test_split: Split that is scored.
        max_step: Longest gap between two frames, in frames of the clip.
        num_steps: Steps of training, each on some clips of the training split; the last one is scored.
        hidden_dim: Of the heads.

    Raises:
        EvaluationError: If a split is empty, the splits share a group, or the clips are too short.

    Source:
        Misra et al. 2016, arXiv:1603.08561; Lee et al. 2017, arXiv:1708.01246.
    """
    table = subject.embeddings("concat")
    train, test = (_clips_of(table, subject.encoder.encoder.dim, split) for split in (train_split, test_split))
    _check(table, train_split, test_split, num_frames=train.shape[1], max_step=max_step)
    answers = order_answers(
        train, test, seed=subject.seed, max_step=max_step, num_steps=num_steps, hidden_dim=hidden_dim
    )
    if subject.out is not None:
        _draw_confusion(subject.out / "sorting.png", _confusion(answers.sorted_as, answers.classes))
    common = (
        f"A head with one hidden layer of {hidden_dim} learns on {len(train)} clips of {train_split!r} from frozen, "
        f"standardised embeddings (their first {MOST_DIMENSIONS} principal components where there are more), {num_steps} steps, "
        f"the last one scored on {len(test)} clips of {test_split!r}, {DRAWS_TO_SCORE} draws each; gaps of 1 to {max_step} frames"
    )
    questions: tuple[tuple[str, float, float, str], ...] = (
        (
            "order accuracy",
            float(answers.order_accuracy.mean()),
            0.5,
            "whether the middle of three frames lies between the others; yes and no weigh alike",
        ),
        (
            "sorting accuracy",
            float(answers.sorting_accuracy.mean()),
            1 / answers.num_classes,
            "in which of 12 orders four frames are shown; forward and backward are one",
        ),
    )
    rows = []
    for metric, value, chance, question in questions:
        for encoder, score, protocol in ((None, value, f"{common}; {question}."), ("chance", chance, "A guess.")):
            rows.append(
                subject.row(
                    "frame_order",
                    metric,
                    score,
                    split=test_split,
                    num_items=len(test),
                    protocol=protocol,
                    encoder=encoder,
                )
            )
    return rows


def _clips_of(table: EmbeddingTable, dim: int, split: str) -> Float[Tensor, "clips frames dim"]:
    places = [place for place, name in enumerate(table.splits) if name == split]
    if not places:
        raise EvaluationError(
            f"the split {split!r} has no clip; splits are {sorted({name or 'none' for name in table.splits})}; "
            "set train_split and test_split"
        )
    return torch.from_numpy(np.array(table.embeddings[places])).reshape(len(places), -1, dim)


def _check(table: EmbeddingTable, train_split: str, test_split: str, *, num_frames: int, max_step: int) -> None:
    groups = [
        {group for group, name in zip(table.groups, table.splits, strict=True) if name == split}
        for split in (train_split, test_split)
    ]
    shared = sorted(groups[0] & groups[1])
    if shared:
        raise EvaluationError(
            f"{len(shared)} groups stand in both {train_split!r} and {test_split!r}, such as {shared[:3]}; put each group "
            "into one split"
        )
    needed = frames_needed(max_step)
    if max_step < 1 or num_frames < needed:
        raise EvaluationError(
            f"frame_order with max_step {max_step} needs clips of at least {needed} frames, these have {num_frames}; decode "
            "longer clips or set a smaller max_step"
        )


def _confusion(
    answers: Int[Tensor, "items orders"], classes: Int[Tensor, " orders"]
) -> Float[np.ndarray, "classes classes"]:
    count = int(classes.max()) + 1
    pairs = classes.expand_as(answers) * count + answers
    counts = torch.bincount(pairs.flatten(), minlength=count * count).reshape(count, count).double()
    shares: Float[np.ndarray, "classes classes"] = (counts / counts.sum(1, keepdim=True)).numpy()
    return shares


def _draw_confusion(path: Path, shares: Float[np.ndarray, "classes classes"]) -> None:
    """A map of how often each order is taken for each."""
    from matplotlib.figure import Figure

    orders, classes = sorting_orders(NUM_SORTED)
    names = [
        "".join("abcd"[place] for place in orders[classes.tolist().index(number)]) for number in range(len(shares))
    ]
    figure = Figure(figsize=(4.6, 4.0), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="viridis", vmin=0)
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("answer")
    axes.set_ylabel("order shown (forward and backward are one)")
    figure.colorbar(image, label="share of the answers")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
