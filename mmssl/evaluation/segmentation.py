"""Region similarity J and boundary accuracy F of masks, as the DAVIS-2016 and DAVIS-2017 toolkits define them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from mmssl.functional.boundaries import boundary_map, dilate_by_disk

TOLERANCE = 0.008
"""Distance at which boundary pixels match, as a fraction of the image's diagonal; rounded up to whole pixels."""

VOID = 255
"""Pixels of a ground truth that count for nothing."""


def region_similarity(
    predicted: Bool[Tensor, "height width"],
    truth: Bool[Tensor, "height width"],
    void: Bool[Tensor, "height width"] | None = None,
) -> float:
    """J: intersection over union; 1 where both masks are empty, 0 where one is.

    Args:
        predicted: One object's pixels.
        truth: Its true pixels.
        void: Pixels to leave out.

    Source:
        Perazzi et al. 2016, "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation".
    """
    if void is not None:
        predicted, truth = predicted & ~void, truth & ~void
    union = _count(predicted | truth)
    return _count(predicted & truth) / union if union else 1.0


def boundary_accuracy(
    predicted: Bool[Tensor, "height width"],
    truth: Bool[Tensor, "height width"],
    void: Bool[Tensor, "height width"] | None = None,
) -> float:
    """F: harmonic mean of the shares of either outline that lie near the other one.

    Near is within a disk of 0.008 of the image's diagonal, rounded up. 1 where neither mask has an outline, 0 where
    only one has.

    Args:
        predicted: One object's pixels.
        truth: Its true pixels.
        void: Pixels to leave out.

    Source:
        Perazzi et al. 2016, as above; the tolerance and the outline as in the DAVIS-2017 toolkit.
    """
    if void is not None:
        predicted, truth = predicted & ~void, truth & ~void
    radius = math.ceil(TOLERANCE * math.hypot(*truth.shape))
    ours, theirs = boundary_map(predicted), boundary_map(truth)
    num_ours, num_theirs = _count(ours), _count(theirs)
    if num_ours == 0 or num_theirs == 0:
        return float(num_ours == num_theirs)
    precision = _count(ours & dilate_by_disk(theirs, radius=radius)) / num_ours
    recall = _count(theirs & dilate_by_disk(ours, radius=radius)) / num_theirs
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _count(mask: Bool[Tensor, "height width"]) -> int:
    """Marked pixels; NumPy counts them without waking a thread pool for so little work."""
    return int(np.count_nonzero(mask.cpu().numpy()))


@dataclass(frozen=True)
class Statistics:
    """How one object fared over a video.

    Args:
        mean: Mean over the frames.
        recall: Share of frames above 0.5.
        decay: Mean of the first quarter of the frames less that of the last; neighboring quarters share a frame.
    """

    mean: float
    recall: float
    decay: float


def statistics(values: Sequence[float]) -> Statistics:
    """Mean, recall and decay of a measure over the frames of a video, as the toolkits compute them.

    Raises:
        ValueError: If there are no values.
    """
    if not values:
        raise ValueError("no frames to compute statistics over")
    frames = np.asarray(values, dtype=np.float64)
    edges = np.round(np.linspace(1, len(frames), 5) + 1e-10).astype(int) - 1
    first, last = frames[edges[0] : edges[1] + 1], frames[edges[3] : edges[4] + 1]
    return Statistics(float(frames.mean()), float((frames > 0.5).mean()), float(first.mean() - last.mean()))


@dataclass
class SequenceScores:
    """J and F of each object in each scored frame of a video.

    Args:
        region: J by object.
        boundary: F by object.
        confusion: Pixels by true and predicted class, of all frames together; None where indices are no classes.
    """

    region: dict[int, list[float]] = field(default_factory=dict)
    boundary: dict[int, list[float]] = field(default_factory=dict)
    confusion: Int64[Tensor, "classes classes"] | None = None


def score_sequence(
    objects: Iterable[int],
    frames: Iterable[tuple[UInt8[Tensor, "height width"], UInt8[Tensor, "height width"]]],
    *,
    classes: int | None = None,
) -> SequenceScores:
    """Scores pairs of predicted and true masks.

    The caller leaves out what the protocol leaves out: the first and the last frame of the video.

    Args:
        objects: Indices to score: those of the video's first frame.
        frames: Predicted and true mask of each frame; indices, `VOID` in the truth is left out.
        classes: Number of classes with the background, where indices are classes.

    Raises:
        ValueError: If an index is no class.
    """
    objects = tuple(objects)
    scores = SequenceScores({index: [] for index in objects}, {index: [] for index in objects})
    for predicted, truth in frames:
        void = truth == VOID
        if classes is not None:
            counts = confusion(predicted, truth, classes=classes)
            scores.confusion = counts if scores.confusion is None else scores.confusion + counts
        for index in scores.region:
            ours, theirs = predicted == index, truth == index
            scores.region[index].append(region_similarity(ours, theirs, void))
            scores.boundary[index].append(boundary_accuracy(ours, theirs, void))
    return scores


def confusion(
    predicted: UInt8[Tensor, "height width"], truth: UInt8[Tensor, "height width"], *, classes: int
) -> Int64[Tensor, "classes classes"]:
    """Pixels by true class (rows) and predicted class (columns); pixels whose truth is `classes` or more are left out.

    Args:
        predicted: Class of each pixel.
        truth: True class of each pixel.
        classes: Number of classes with the background, which is 0.

    Raises:
        ValueError: If a predicted class is out of range.
    """
    if bool((predicted >= classes).any()):
        raise ValueError(f"a pixel is predicted as class {int(predicted.max())} of {classes}")
    counted = truth < classes
    pairs = truth[counted].long() * classes + predicted[counted]
    return torch.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def mean_iou(confusion: Int64[Tensor, "classes classes"]) -> float | None:
    """Mean over classes of intersection over union, over all pixels of all frames together, as on VIP.

    Args:
        confusion: Sum of `confusion` over frames.

    Returns:
        None where there are no pixels. Classes that occur neither in the truth nor in a prediction do not count.

    Source:
        Li et al. 2019, arXiv:1909.11895, propagation of body parts on VIP.
    """
    right = confusion.diagonal().double()
    union = confusion.sum(dim=1).double() + confusion.sum(dim=0) - right
    return float((right / union)[union > 0].mean()) if bool((union > 0).any()) else None
