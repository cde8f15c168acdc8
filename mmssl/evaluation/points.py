"""Measures of points that were followed through a video: PCK in its several definitions, and TAP-Vid's.

Points are x and y; NaN stands for a point that is not annotated, or that was not found.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

TAP_VID_PIXELS = (1, 2, 4, 8, 16)
"""Distances of TAP-Vid's measure, in pixels of a frame scaled to 256 x 256."""


def point_distances(
    predicted: Float[Tensor, "frames points 2"], truth: Float[Tensor, "frames points 2"]
) -> Float[Tensor, "frames points"]:
    """Distance of each annotated point: infinite where it was not found, NaN where there is nothing to compare with."""
    distances: Tensor = torch.linalg.vector_norm(predicted - truth, dim=2)
    missed = predicted.isnan().any(dim=2)
    return distances.masked_fill(missed, torch.inf).masked_fill(truth.isnan().any(dim=2), torch.nan)


def box_sides(truth: Float[Tensor, "frames points 2"]) -> Float[Tensor, "frames 2"]:
    """Width and height of the box around the annotated points of each frame; NaN where there are none."""
    low = truth.nan_to_num(nan=torch.inf).amin(dim=1)
    high = truth.nan_to_num(nan=-torch.inf).amax(dim=1)
    return (high - low).masked_fill((high < low), torch.nan)


def correct_within(
    distances: Float[Tensor, "frames points"], limits: Float[Tensor, " frames"]
) -> Bool[Tensor, " annotated"]:
    """For each annotated point of the frames whose limit is known, whether it is nearer than the frame's limit."""
    known = ~distances.isnan() & ~limits.isnan()[:, None]
    return (distances < limits[:, None])[known]


def pck(
    predicted: Float[Tensor, "frames points 2"],
    truth: Float[Tensor, "frames points 2"],
    *,
    alpha: float,
    boxes: Float[Tensor, "frames 2"] | None = None,
) -> Bool[Tensor, " annotated"]:
    """PCK in its usual definition: whether each annotated point is nearer than alpha times the longer side of the box.

    A point that was not found is wrong.

    Args:
        predicted: Points found.
        truth: Points annotated.
        alpha: Commonly 0.1 or 0.2.
        boxes: Width and height of the person or animal in each frame; those of `box_sides` where not given.

    Source:
        Yang and Ramanan 2013, "Articulated Human Detection with Flexible Mixtures of Parts", evaluation.
    """
    return correct_within(
        point_distances(predicted, truth), alpha * (box_sides(truth) if boxes is None else boxes).amax(dim=1)
    )


def pck_by_area(
    predicted: Float[Tensor, "frames points 2"],
    truth: Float[Tensor, "frames points 2"],
    areas: Float[Tensor, " frames"],
    *,
    alpha: float = 0.2,
) -> Bool[Tensor, " annotated"]:
    """PCK as on BADJA: nearer than alpha times the square root of the area of the animal's mask.

    Args:
        predicted: Points found.
        truth: Points annotated.
        areas: Pixels of the mask of each frame; frames whose area is NaN take no part.
        alpha: Commonly 0.2.

    Source:
        Biggs et al. 2018, arXiv:1811.05804, evaluation.
    """
    return correct_within(point_distances(predicted, truth), alpha * areas.sqrt())


def crw_distances(
    predicted: Float[Tensor, "frames points 2"], truth: Float[Tensor, "frames points 2"]
) -> Float[Tensor, "frames points"]:
    """Distances over 0.6 times the box's diagonal, without the points that were not found, as CRW's evaluation does it.

    Points whose prediction is missing or negative are NaN: they count neither as right nor as wrong, nor for the box,
    which makes the measure kinder than `pck`.

    Source:
        Jabri et al. 2020, arXiv:2006.14613, evaluation on JHMDB.
    """
    dropped = predicted.isnan().any(dim=2) | (predicted < 0).any(dim=2)
    kept = truth.masked_fill(dropped[..., None], torch.nan)
    scale: Tensor = 0.6 * torch.linalg.vector_norm(box_sides(kept), dim=1)
    return point_distances(predicted, kept) / scale[:, None]


def tap_vid_shares(
    predicted: Float[Tensor, "frames points 2"], truth: Float[Tensor, "frames points 2"], *, size: tuple[int, int]
) -> Float[Tensor, " thresholds"]:
    """TAP-Vid's position measure at each of `TAP_VID_PIXELS`; their mean is delta_avg.

    Args:
        predicted: Points found, in pixels of the frame.
        truth: Points that are visible; others NaN.
        size: Height and width of the frame.

    Returns:
        Share of the visible points that are nearer than the threshold; NaN where none is visible.

    Source:
        Doersch et al. 2022, arXiv:2211.03726, section 4.
    """
    scale = truth.new_tensor([256 / size[1], 256 / size[0]])
    distances = point_distances(predicted * scale, truth * scale)
    distances = distances[~distances.isnan()]
    return torch.stack([(distances < pixels).float().mean() for pixels in TAP_VID_PIXELS])
