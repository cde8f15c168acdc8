"""How good zero-shot answers are, where the classes are known."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from mmssl.evaluation.calibration import confusion_matrix, expected_calibration_error
from mmssl.evaluation.classification import shown_tops

MOST_CONFUSED = 20
LARGEST_MATRIX = 100


@dataclass(frozen=True)
class ZeroShotScores:
    """Scores over the items whose class is known.

    Args:
        num_items: That were scored.
        num_classes: That the answer was one of.
        acc1: Share whose best class is right.
        acc5: Share with the right class among the best five; None below five classes.
        mean_per_class_recall: Mean over the classes that occur.
        ece: Expected calibration error of the best class's probability, 15 bins.
        chance: What guessing gives for `acc1`.
        accepted: Share that was not answered 'none of these'.
        confusion: Class, answer and count, for all pairs of up to 100 classes, and the 20 most frequent mistakes of more.
    """

    num_items: int
    num_classes: int
    acc1: float
    acc5: float | None
    mean_per_class_recall: float
    ece: float
    chance: float
    accepted: float
    confusion: tuple[tuple[str, str, int], ...]


def zero_shot_scores(
    best: Int[np.ndarray, "items top"],
    confidence: Float[np.ndarray, " items"],
    classes: Int[np.ndarray, " items"],
    names: Sequence[str],
    *,
    accepted: Bool[np.ndarray, " items"],
) -> ZeroShotScores:
    """Scores answers; that an answer may be 'none of these' only changes `accepted`.

    Args:
        best: Places of the best classes of each item, best first; five of them where there are as many classes.
        confidence: Probability of the best class.
        classes: Place of the right one.
        names: Of the classes.
        accepted: Whether the answer is one of the classes.
    """
    right = best[:, 0] == classes
    return ZeroShotScores(
        num_items=len(classes),
        num_classes=len(names),
        acc1=float(right.mean()),
        acc5=float((best[:, :5] == classes[:, None]).any(axis=1).mean()) if 5 in shown_tops(len(names)) else None,
        mean_per_class_recall=float(np.mean([right[classes == number].mean() for number in np.unique(classes)])),
        ece=expected_calibration_error(confidence, right),
        chance=1 / len(names),
        accepted=float(accepted.mean()),
        confusion=_confusion(classes, best[:, 0], names),
    )


def _confusion(classes: np.ndarray, answers: np.ndarray, names: Sequence[str]) -> tuple[tuple[str, str, int], ...]:
    if len(names) <= LARGEST_MATRIX:
        counts = confusion_matrix(classes, answers, len(names))
        return tuple(
            (names[row], names[column], int(counts[row, column])) for row, column in np.argwhere(counts).tolist()
        )
    wrong = classes != answers
    pairs, counts = np.unique(np.stack((classes[wrong], answers[wrong])), axis=1, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MOST_CONFUSED]
    return tuple((names[pairs[0, place]], names[pairs[1, place]], int(counts[place])) for place in order)
