"""A linear classifier on frozen embeddings: how much of the classes can be read off them by a plane."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmssl.evaluation.classification import classification_rows, constant_rows
from mmssl.evaluation.classifier_training import ClassifierTraining
from mmssl.evaluation.columns import score_columns
from mmssl.evaluation.labeled import LabeledSplits, labeled_splits, validation_part
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject
from mmssl.evaluation.tuning import supervised_rows
from mmssl.functional.logistic import LinearClassifier, fit_logistic
from mmssl.retrieval.embeddings import EmbeddingTable
from mmssl.retrieval.over_time import OverTime

L2S = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Penalties to choose from, per item and on standardised features."""

UNCHOSEN_L2 = 1e-1
"""Where no clip can be spared to choose on."""


@dataclass(frozen=True)
class Probe:
    """A fitted classifier, with the scale of its features.

    Args:
        mean: Of each feature over the training clips.
        deviation: Likewise; 1 where a feature is constant.
        classifier: On standardised features.
        l2: Its penalty.
        validation: Top-1 by penalty on the validation part; empty where there was none.
        num_validation: Clips of the validation part.
    """

    mean: Float[Tensor, " dim"]
    deviation: Float[Tensor, " dim"]
    classifier: LinearClassifier
    l2: float
    validation: dict[str, float]
    num_validation: int

    def scores(self, embeddings: Float[np.ndarray, "items dim"]) -> Float[np.ndarray, "items classes"]:
        """Logits of each class."""
        features = torch.from_numpy(np.array(embeddings)).to(self.mean.device)
        scores: Float[np.ndarray, "items classes"] = (
            self.classifier.scores((features - self.mean) / self.deviation).cpu().numpy()
        )
        return scores


def linear_probe(
    subject: Subject,
    *,
    train_split: str = "train",
    test_split: str = "test",
    l2s: tuple[float, ...] = L2S,
    validation_share: float = 0.2,
    supervised: ClassifierTraining | None = None,
    labels: tuple[str, ...] = (),
    over_time: OverTime = "mean",
) -> list[ReportRow]:
    """Classifies clips by logistic regression on frozen, standardised embeddings.

    The penalty is chosen on a part of the training split, by groups; then the classifier is fitted anew on all of the
    training split and scored once.

    Args:
        subject: Its clips, or a table of its embeddings; clips without a label are left out and counted.
        train_split: Split that is learnt from.
        test_split: Split that is scored.
        l2s: Penalties to choose from, see `fit_logistic`; one alone is taken as it is.
        validation_share: Part of each class's groups that the penalty is chosen on.
        supervised: How the same architecture is trained from fresh weights on the same labels, to stand beside; it needs
            clips, and time. Nothing where not given.
        labels: Further columns of the manifest to score in turn, in place of the rows' label.
        over_time: What embeddings keep of a clip's frames, see `retrieval.over_time`.

    Returns:
        Top-1, top-5 from five classes on, and the mean recall of a class; then what guessing, the most frequent class and,
        if asked for, supervised learning give.

    Raises:
        EvaluationError: If labels or splits are missing, the training split has one class, or a group is in both splits.

    Source:
        Logistic regression with a penalty swept on validation data: Radford et al. 2021, arXiv:2103.00020, appendix A.3.
    """
    check_probe_settings(l2s, validation_share)

    def score(table: EmbeddingTable) -> list[ReportRow]:
        task = labeled_splits(table.labels, table.splits, table.groups, train_split=train_split, test_split=test_split)
        return _score(subject, table, task, l2s=l2s, validation_share=validation_share, supervised=supervised)

    return score_columns(subject, labels, over_time, score)


def _score(
    subject: Subject,
    table: EmbeddingTable,
    task: LabeledSplits,
    *,
    l2s: Sequence[float],
    validation_share: float,
    supervised: ClassifierTraining | None,
) -> list[ReportRow]:
    probe = fit_probe(table, task, l2s=l2s, validation_share=validation_share, seed=subject.seed, device=subject.device)
    scores = probe.scores(table.embeddings[task.test])
    protocol = ". ".join(
        [
            f"Logistic regression (L-BFGS) on frozen, standardised embeddings of {len(task.train)} labelled clips of "
            f"{task.train_split!r}, scored once on {len(task.test)} of {task.test_split!r}; {how_chosen(probe, l2s)}; "
            f"{subject.clip_in_words(table.over_time)}",
            *task.remarks(),
        ]
    )
    return [
        *classification_rows(
            subject, "linear_probe", scores, task, protocol=f"{protocol}.", detail=probe_detail(task, probe)
        ),
        *constant_rows(subject, "linear_probe", task),
        *supervised_rows(subject, "linear_probe", task, supervised),
    ]


def check_probe_settings(l2s: Sequence[float], validation_share: float) -> None:
    """Refuses penalties and shares that make no sense.

    Raises:
        ValueError: If there is no penalty, one is negative, or the share is not in (0, 1).
    """
    if not l2s or min(l2s) < 0:
        raise ValueError(f"l2s must hold at least one number, none negative, got {l2s}")
    if not 0 < validation_share < 1:
        raise ValueError(f"validation_share must lie between 0 and 1, got {validation_share}")


def fit_probe(
    table: EmbeddingTable,
    task: LabeledSplits,
    *,
    l2s: Sequence[float],
    validation_share: float,
    seed: int,
    device: torch.device | str = "cpu",
) -> Probe:
    """Chooses the penalty on a part of the training clips, then fits on all of them.

    The best top-1 wins; of equal ones, the stronger penalty.

    Args:
        table: Of the embeddings.
        task: Which clips to learn from, and their classes.
        l2s: Penalties to choose from.
        validation_share: Part of each class's groups to choose on.
        seed: Of that part.
        device: Where to compute.
    """
    embeddings = torch.from_numpy(np.array(table.embeddings[task.train])).to(device)
    classes = torch.from_numpy(task.train_classes).to(device)
    groups = [table.groups[place] for place in task.train]
    held_out = torch.from_numpy(validation_part(task.train_classes, groups, share=validation_share, seed=seed))
    num_validation = int(held_out.sum()) if len(l2s) > 1 else 0
    chosen = l2s[0] if len(l2s) == 1 else UNCHOSEN_L2
    validation: dict[str, float] = {}
    if num_validation:
        kept = (~held_out).to(device)
        validation = _validate(embeddings, classes, kept, task.num_train_classes, l2s)
        chosen = max(l2s, key=lambda l2: (validation[f"{l2:g}"], l2))
    mean, deviation = standardization(embeddings)
    classifier = fit_logistic((embeddings - mean) / deviation, classes, num_classes=task.num_train_classes, l2=chosen)
    return Probe(mean, deviation, classifier, chosen, validation, num_validation)


def standardization(features: Float[Tensor, "items dim"]) -> tuple[Float[Tensor, " dim"], Float[Tensor, " dim"]]:
    """Mean and standard deviation of each feature; a deviation of 1 for one that does not vary."""
    deviation, mean = torch.std_mean(features, dim=0, correction=0)
    return mean, torch.where(deviation > 1e-6 * deviation.max(), deviation, 1.0)


def probe_detail(task: LabeledSplits, probe: Probe) -> dict[str, Any]:
    """Facts of a probe's rows: how much it learnt from, its penalty, and what each penalty reached."""
    return {
        "num_classes": len(task.classes),
        "num_train": len(task.train),
        "num_validation": probe.num_validation,
        "num_unlabeled": task.num_unlabeled,
        "l2": probe.l2,
        "validation": probe.validation,
    }


def how_chosen(probe: Probe, l2s: Sequence[float]) -> str:
    """Says where a probe's penalty comes from."""
    if len(l2s) == 1:
        return f"L2 penalty {l2s[0]:g}, fixed"
    if not probe.num_validation:
        return f"L2 penalty {probe.l2:g}, fixed because no class has clips of two groups to choose it on"
    listed = ", ".join(f"{l2:g}" for l2 in l2s)
    return (
        f"L2 penalty, of {listed}, chosen on {probe.num_validation} of these, kept apart by groups, "
        "then fitted anew on all"
    )


def _validate(
    embeddings: Float[Tensor, "train dim"],
    classes: Int[Tensor, " train"],
    kept: Tensor,
    num_classes: int,
    l2s: Sequence[float],
) -> dict[str, float]:
    """Top-1 on what is not kept, by penalty; the strongest is fitted first, each next one from there."""
    mean, deviation = standardization(embeddings[kept])
    features = (embeddings - mean) / deviation
    found: dict[str, float] = {}
    classifier: LinearClassifier | None = None
    for l2 in sorted(l2s, reverse=True):
        classifier = fit_logistic(features[kept], classes[kept], num_classes=num_classes, l2=l2, start=classifier)
        right = classifier.scores(features[~kept]).argmax(1) == classes[~kept]
        found[f"{l2:g}"] = float(right.double().mean())
    return dict(sorted(found.items(), key=lambda entry: float(entry[0])))
