"""Whether a classifier's confidence is how often it is right."""

import numpy as np
from jaxtyping import Bool, Float, Int

NUM_BINS = 15


def expected_calibration_error(
    confidence: Float[np.ndarray, " items"], right: Bool[np.ndarray, " items"], *, num_bins: int = NUM_BINS
) -> float:
    """Mean distance between confidence and share of right answers, over bins of equal width, weighted by their items.

    Args:
        confidence: Probability of each item's answer.
        right: Whether the answer is right.
        num_bins: Between 0 and 1; each bin takes in its upper edge.

    Raises:
        ValueError: If there is no item.

    Source:
        Guo et al. 2017, arXiv:1706.04599, eq. 5.
    """
    if not len(confidence):
        raise ValueError("there is no answer to calibrate")
    bins = np.clip(np.ceil(confidence.astype(np.float64) * num_bins).astype(np.int64) - 1, 0, num_bins - 1)
    gaps = np.bincount(bins, weights=confidence.astype(np.float64) - right, minlength=num_bins)
    return float(np.abs(gaps).sum() / len(confidence))


def confusion_matrix(
    classes: Int[np.ndarray, " items"], answers: Int[np.ndarray, " items"], num_classes: int
) -> Int[np.ndarray, "classes answers"]:
    """How many items of each class got each answer."""
    flat = np.bincount(classes * num_classes + answers, minlength=num_classes**2)
    return flat.reshape(num_classes, num_classes)
