"""Which kind of sound goes with a frame, read off the frame's frozen embedding, on clips held out."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mmssl.data.dataset import ClipSource, footage_of, sound_rate_of
from mmssl.errors import EvaluationError
from mmssl.evaluation.audio_visual import CLIPS_AT_ONCE, Moment, moment_frames, moment_places, moment_sounds
from mmssl.evaluation.classification import classification_rows, constant_rows
from mmssl.evaluation.labeled import labeled_splits
from mmssl.evaluation.linear_probe import L2S, check_probe_settings, fit_probe, how_chosen, probe_detail
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject
from mmssl.functional.kmeans import kmeans
from mmssl.functional.sound_statistics import all_statistics, nearest_center, statistics_scale
from mmssl.retrieval.embeddings import EmbeddingTable

MOMENT = Moment(num_frames=1, window_seconds=2.0)


def sound_clusters(
    subject: Subject,
    *,
    train_split: str = "train",
    test_split: str = "test",
    num_clusters: int = 30,
    num_bands: int = 32,
    l2s: tuple[float, ...] = L2S,
    validation_share: float = 0.2,
    moment: Moment = MOMENT,
) -> list[ReportRow]:
    """Tells the cluster of a moment's sound from its middle frame by logistic regression on the frame's embedding.

    Clusters are those of `audio_clusters`, found in the moments that are learnt from; the encoder hears nothing.

    Args:
        subject: An encoder of pictures, and clips that have sound beside them; labels do not matter.
        train_split: Split that clusters are found in and that is learnt from.
        test_split: Split that is scored.
        num_clusters: Kinds of sound.
        num_bands: Of the cochleagram that statistics are of.
        l2s: Penalties to choose from, on a part of the training split.
        validation_share: Part of the training clips that the penalty is chosen on.
        moment: What of a clip is seen and heard at a time.

    Returns:
        Top-1, top-5 from five clusters on, and the mean recall of a cluster; then what guessing and the most frequent give.

    Raises:
        EvaluationError: If there is no sound beside the clips, or a split is missing.

    Source:
        Owens et al. 2016, arXiv:1608.07017.
    """
    check_probe_settings(l2s, validation_share)
    clips = subject.clips
    if clips is None or sound_rate_of(clips) is None:
        raise EvaluationError(
            "sound_clusters wants clips with sound beside their pictures; set size and sound in decode"
        )
    if num_clusters < 2 or num_bands < 2:
        raise EvaluationError(f"num_clusters {num_clusters} and num_bands {num_bands} must be at least 2")
    places = [place for place, item in enumerate(clips.items) if item.split in (train_split, test_split)]
    items = [clips.items[place] for place in places for _ in range(moment.num_moments)]
    learnt = torch.tensor([item.split == train_split for item in items], dtype=torch.bool)
    if not learnt.any() or learnt.all():
        raise EvaluationError(f"there must be clips of both splits, {train_split!r} and {test_split!r}")
    embeddings, statistics = _of_moments(subject, clips, places, moment, num_bands=num_bands)
    offsets, factors = statistics_scale(statistics[learnt], num_bands=num_bands)
    points = (statistics - offsets) * factors
    clusters = nearest_center(points, kmeans(points[learnt], num_clusters=num_clusters).to(points))
    table = EmbeddingTable.of_items(
        items,
        embeddings,
        subject.encoder,
        clips,
        ids=tuple(f"{item.id}/{number % moment.num_moments}" for number, item in enumerate(items)),
        labels=tuple(f"cluster {number:03}" for number in clusters.tolist()),
    )
    task = labeled_splits(table.labels, table.splits, table.groups, train_split=train_split, test_split=test_split)
    probe = fit_probe(table, task, l2s=l2s, validation_share=validation_share, seed=subject.seed, device=subject.device)
    protocol = (
        f"Which of {num_clusters} kinds of sound goes with a frame: logistic regression on the frame's frozen, standardised "
        f"embedding, at {moment.in_words}; kinds are clusters of statistics of the sound, found in the {int(learnt.sum())} "
        f"moments of {train_split!r}, which are also learnt from; {how_chosen(probe, l2s)}."
    )
    scores = probe.scores(table.embeddings[task.test])
    detail = probe_detail(task, probe)
    return [
        *classification_rows(subject, "sound_clusters", scores, task, protocol=protocol, detail=detail),
        *constant_rows(subject, "sound_clusters", task),
    ]


def _of_moments(
    subject: Subject, clips: ClipSource, places: Sequence[int], moment: Moment, *, num_bands: int
) -> tuple[Float[np.ndarray, "moments dim"], Float[Tensor, "moments numbers"]]:
    """Embeddings of the middle frames of all moments, and the statistics of their sound."""
    encoder = subject.encoder.encoder.to(subject.device).eval()
    embeddings, statistics = [], []
    for start in range(0, len(places), CLIPS_AT_ONCE):
        footage = footage_of(clips, places[start : start + CLIPS_AT_ONCE])
        firsts, begins = moment_places(footage, moment, (0.0,))
        frames = moment_frames(footage, moment, firsts)[:, :, moment.num_frames // 2].flatten(0, 1)
        sound = moment_sounds(footage, moment, begins).flatten(0, 2)
        with torch.inference_mode():
            embeddings.append(encoder(frames.to(subject.device)).float().cpu())
        statistics.append(all_statistics(sound, sample_rate=footage.sample_rate, num_bands=num_bands))
    return torch.cat(embeddings).numpy(), torch.cat(statistics)
