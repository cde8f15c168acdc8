"""The plane through points that shows most of how they vary."""

import torch
from jaxtyping import Float
from torch import Tensor


def principal_components(
    points: Float[Tensor, "points dim"], *, num_components: int = 2
) -> tuple[Float[Tensor, "points components"], Float[Tensor, " components"]]:
    """Coordinates along the directions of largest variance, and the share of the variance along each.

    Each direction is turned so that its largest weight is positive, which makes the result unique.

    Args:
        points: At least two, not all alike.
        num_components: At most the smaller of points and dim.

    Source:
        Pearson 1901; by the singular values of the centred points.
    """
    centered = points.double() - points.double().mean(0)
    left, singular, right = torch.linalg.svd(centered, full_matrices=False)
    largest = right.gather(1, right.abs().argmax(1, keepdim=True))[:, 0]
    signs = torch.where(largest < 0, -1.0, 1.0)
    coordinates = (left * singular * signs)[:, :num_components]
    share = singular.square() / singular.square().sum().clamp_min(1e-30)
    return coordinates.to(points.dtype), share[:num_components].to(points.dtype)
