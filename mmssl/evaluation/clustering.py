"""k-means on embeddings, compared with the labels afterwards."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from mmssl.errors import EvaluationError
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject
from mmssl.functional.kmeans import kmeans
from mmssl.functional.partitions import (
    adjusted_rand_index,
    assignment_accuracy,
    normalized_mutual_information,
)

METRICS: dict[str, Callable[..., float]] = {
    "NMI": normalized_mutual_information,
    "ARI": adjusted_rand_index,
    "accuracy": assignment_accuracy,
}


def clustering(
    subject: Subject, *, split: str = "test", num_clusters: int | None = None, num_starts: int = 5
) -> list[ReportRow]:
    """Clusters the clips of a split by k-means on normalised embeddings; labels come in only for the score.

    Args:
        subject: Its clips, or a table of its embeddings; clips without a label are left out and counted.
        split: Split to cluster; where the data has one split, that one.
        num_clusters: As many as there are classes where not given.
        num_starts: Runs from different starts; the one whose clusters are tightest counts.

    Returns:
        Normalised mutual information, adjusted Rand index, and accuracy where each cluster is given to one class; then what
        clusters drawn at random give.

    Raises:
        EvaluationError: If labels or the split are missing, all clips are of one class, or there are fewer clips than clusters.

    Source:
        Xie, Girshick and Farhadi 2016, arXiv:1511.06335, for accuracy by assignment.
    """
    if num_starts < 1:
        raise ValueError(f"num_starts must be at least 1, got {num_starts}")
    table = subject.embeddings()
    splits = np.array([name or "none" for name in table.splits])
    names = sorted(set(splits.tolist()))
    chosen = names[0] if len(names) == 1 else split
    labels = np.array(table.labels, dtype=object)
    labeled = np.array([label is not None for label in table.labels])
    places = np.flatnonzero(labeled & (splits == chosen))
    if not len(places):
        raise EvaluationError(f"the split {chosen!r} has no labelled clip; splits are {names}; set split")
    known, classes = np.unique(labels[places].astype(str), return_inverse=True)
    if len(known) < 2:
        raise EvaluationError(f"all {len(places)} labelled clips of {chosen!r} are of one class, {str(known[0])!r}")
    count = len(known) if num_clusters is None else num_clusters
    if not 1 < count <= len(places):
        raise EvaluationError(f"cannot make {count} clusters of {len(places)} clips; set num_clusters")
    points = normalize(torch.from_numpy(np.array(table.embeddings[places])), dim=1)
    clusters = min((_clusters(points, count, subject.seed + start) for start in range(num_starts)), key=_tightness)[0]
    unlabeled = int((~labeled & (splits == chosen)).sum())
    protocol = (
        f"k-means with {count} clusters on L2-normalised embeddings of {len(places)} clips of {len(known)} classes, the "
        f"tightest of {num_starts} runs from k-means++ starts; labels are used for the score alone; "
        f"{subject.clip_in_words()}"
    )
    protocol += f"; {unlabeled} clips without a label are left out." if unlabeled else "."
    guessed = np.random.default_rng(subject.seed).integers(0, count, len(places))
    detail = {"num_classes": len(known), "num_clusters": count, "num_unlabeled": unlabeled}
    rows = []
    for encoder, found, sentence in (
        (None, clusters, protocol),
        ("chance", guessed, f"Each clip in one of {count} clusters, drawn with equal odds."),
    ):
        rows += [
            subject.row(
                "clustering",
                metric,
                measure(found, classes),
                split="all" if chosen == "none" else chosen,
                num_items=len(places),
                protocol=sentence,
                encoder=encoder,
                detail=None if encoder else detail,
            )
            for metric, measure in METRICS.items()
        ]
    return rows


def _clusters(points: Float[Tensor, "clips dim"], count: int, seed: int) -> tuple[Int[np.ndarray, " clips"], float]:
    """Each clip's cluster, and the mean squared distance to its center."""
    centers = kmeans(points, num_clusters=count, num_iterations=100, seed=seed)
    distances, clusters = torch.cdist(points, centers).min(1)
    return clusters.numpy(), float(distances.square().mean())


def _tightness(run: tuple[Int[np.ndarray, " clips"], float]) -> float:
    return run[1]
