"""Scores of a classifier as report rows, and what answers that do not look at the clip reach."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from mmssl.evaluation.labeled import LabeledSplits
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject

MIN_CLASSES_FOR_TOP5 = 5


def shown_tops(num_classes: int) -> tuple[int, ...]:
    """Which top-k accuracies are worth giving."""
    return (1, 5) if num_classes >= MIN_CLASSES_FOR_TOP5 else (1,)


def top_accuracy(scores: Float[np.ndarray, "items classes"], classes: Int[np.ndarray, " items"], top: int) -> float:
    """Share of items whose class is among the `top` best scored; of equal scores the lower class number is better."""
    ranking = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    return float((ranking == classes[:, None]).any(axis=1).mean())


def mean_class_recall(scores: Float[np.ndarray, "items classes"], classes: Int[np.ndarray, " items"]) -> float:
    """Mean over the classes that occur of the share of their items that are right."""
    right = scores.argmax(axis=1) == classes
    return float(np.mean([right[classes == number].mean() for number in np.unique(classes)]))


def constant_answers(
    scored: Int[np.ndarray, " scored"], known: Int[np.ndarray, " known"], classes: Sequence[str], top: int
) -> Iterator[tuple[str, float, str]]:
    """What answers that do not look at the clip score: name, value, protocol.

    Args:
        scored: Classes of the scored clips.
        known: Classes of the clips that may be learnt from.
        classes: Names of all classes.
        top: Answers that each clip gets.
    """
    yield "chance", min(top, len(classes)) / len(classes), f"A guess among {len(classes)} classes with equal odds."
    counts = np.bincount(known, minlength=len(classes))
    frequent = np.argsort(-counts, kind="stable")[:top]
    share = float(np.isin(scored, frequent).mean())
    names = ", ".join(classes[place] for place in frequent)
    yield "majority", share, f"The answer is always what is most frequent among the clips with known labels: {names}."


def classification_rows(
    subject: Subject,
    evaluation: str,
    scores: Float[np.ndarray, "test classes"],
    task: LabeledSplits,
    *,
    protocol: str,
    detail: Mapping[str, Any],
    suffix: str = "",
    encoder: str | None = None,
) -> list[ReportRow]:
    """Top-1, top-5 from five classes on, and the mean recall of a class.

    Args:
        subject: What is scored.
        evaluation: Name in `EVALUATIONS`.
        scores: Of each class of the training split, for each scored clip.
        task: Whose test clips are scored.
        protocol: One sentence.
        detail: Further facts.
        suffix: Of each metric's name.
        encoder: See `Subject.row`.
    """
    values = {f"top{top}": top_accuracy(scores, task.test_classes, top) for top in shown_tops(len(task.classes))}
    values["class recall"] = mean_class_recall(scores, task.test_classes)
    return [
        subject.row(
            evaluation,
            f"{metric}{suffix}",
            value,
            split=task.test_split,
            num_items=len(task.test),
            protocol=protocol,
            encoder=encoder,
            detail=detail,
        )
        for metric, value in values.items()
    ]


def constant_rows(subject: Subject, evaluation: str, task: LabeledSplits, *, suffix: str = "") -> list[ReportRow]:
    """Rows of chance and of the most frequent class, for the metrics of `classification_rows`."""
    found = [
        (f"top{top}", *answer)
        for top in shown_tops(len(task.classes))
        for answer in constant_answers(task.test_classes, task.train_classes, task.classes, top)
    ]
    for name, _, protocol in constant_answers(task.test_classes, task.train_classes, task.classes, 1):
        counts = np.bincount(task.train_classes, minlength=len(task.classes)).astype(np.float64)
        same = np.broadcast_to(counts, (len(task.test), len(task.classes)))
        recall = mean_class_recall(same, task.test_classes) if name == "majority" else 1 / len(task.classes)
        found.append(("class recall", name, recall, protocol))
    return [
        subject.row(
            evaluation,
            f"{metric}{suffix}",
            value,
            split=task.test_split,
            num_items=len(task.test),
            protocol=protocol,
            encoder=name,
        )
        for metric, name, value, protocol in found
    ]
