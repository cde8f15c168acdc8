"""A linear probe to stand beside zero-shot answers: what labels would give on the same embeddings."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mmssl.data.manifest import ManifestRow
from mmssl.evaluation.labeled import labeled_splits
from mmssl.evaluation.linear_probe import L2S, fit_probe, how_chosen
from mmssl.models.loading import LoadedEncoder
from mmssl.retrieval.embeddings import EmbeddingTable

LEARNT, SCORED = "learnt from", "scored"


@dataclass(frozen=True)
class ProbeScores:
    """Scores of a linear probe on the items that zero-shot answers are scored on.

    Args:
        num_train: Labelled items that it learnt from.
        acc1: Share whose best class is right.
        mean_per_class_recall: Mean over the classes that occur.
        protocol: How it was fitted, as a sentence.
    """

    num_train: int
    acc1: float
    mean_per_class_recall: float
    protocol: str


@dataclass(frozen=True)
class LabeledItems:
    """Items of known class.

    Args:
        rows: With their labels.
        embeddings: Of each.
    """

    rows: Sequence[ManifestRow]
    embeddings: Float[np.ndarray, "rows dim"]


def zero_shot_probe(loaded: LoadedEncoder, learnt: LabeledItems, scored: LabeledItems, *, seed: int = 0) -> ProbeScores:
    """Fits a linear probe on some items and scores it on others.

    Args:
        loaded: That embedded both.
        learnt: To learn from; the penalty is chosen on a fifth of them.
        scored: To score on.
        seed: Of that fifth.

    Raises:
        EvaluationError: If there is nothing to learn from, all is of one class, or an item is on both sides.
    """
    rows = [*learnt.rows, *scored.rows]
    splits = (LEARNT,) * len(learnt.rows) + (SCORED,) * len(scored.rows)
    table = EmbeddingTable(
        ids=tuple(f"{number}" for number in range(len(rows))),
        embeddings=np.concatenate([learnt.embeddings, scored.embeddings]).astype(np.float32),
        row_ids=tuple(row.id for row in rows),
        labels=tuple(row.label for row in rows),
        splits=splits,
        groups=tuple(row.group or row.uri for row in rows),
        encoder=loaded.reference,
        encoder_digest=loaded.digest,
        source_digest="",
    )
    task = labeled_splits(table.labels, splits, table.groups, train_split=LEARNT, test_split=SCORED)
    probe = fit_probe(table, task, l2s=L2S, validation_share=0.2, seed=seed)
    right = probe.scores(table.embeddings[task.test]).argmax(axis=1) == task.test_classes
    recalls = [right[task.test_classes == number].mean() for number in np.unique(task.test_classes)]
    said = f"Logistic regression on the embeddings of {len(task.train)} labelled items; {how_chosen(probe, L2S)}"
    protocol = ". ".join([said, *task.remarks()]) + "."
    return ProbeScores(len(task.train), float(right.mean()), float(np.mean(recalls)), protocol)
