"""Losses without negatives that keep embeddings from collapsing by what their dimensions share."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

_SMALLEST_VARIANCE = 1e-5


def barlow_twins(
    a: Float[Tensor, "batch dim"], b: Float[Tensor, "batch dim"], *, redundancy_weight: float = 5e-3
) -> Float[Tensor, ""]:
    """Makes the cross-correlation of two views' dimensions the identity.

    Args:
        a: First view of each item.
        b: Second view of each item.
        redundancy_weight: Of what is not on the diagonal.

    Returns:
        Sum over the diagonal of (1 - correlation)^2, and the weighted sum of the other correlations squared; 0 at best,
        `dim` where the views are independent and the batch is large.

    Source:
        Zbontar et al. 2021, arXiv:2103.03230, eq. 1.
    """
    correlation = _products(_standardized(a), _standardized(b)) / len(a)
    diagonal = correlation.diagonal()
    others = correlation.square().sum() - diagonal.square().sum()
    return (1 - diagonal).square().sum() + redundancy_weight * others


def _products(a: Tensor, b: Tensor) -> Tensor:
    """Sums over items of each dimension's product with each, in float32 under autocast, too: in float16 a sum may overflow."""
    with torch.autocast(a.device.type, enabled=False):
        return a.T @ b


def _standardized(x: Tensor) -> Tensor:
    centered = x.float() - x.float().mean(0)
    return centered * (centered.square().mean(0) + _SMALLEST_VARIANCE).rsqrt()


def vicreg(
    a: Float[Tensor, "batch dim"],
    b: Float[Tensor, "batch dim"],
    *,
    invariance_weight: float = 25.0,
    variance_weight: float = 25.0,
    covariance_weight: float = 1.0,
) -> Float[Tensor, ""]:
    """Two views agree, each dimension keeps a standard deviation of 1, and no two dimensions vary together.

    Args:
        a: First view of each item; not normalised.
        b: Second view of each item.
        invariance_weight: Of the mean squared difference of the views.
        variance_weight: Of how far standard deviations fall short of 1, the mean over dimensions and views.
        covariance_weight: Of the squared covariances of different dimensions: their sum over `dim`, both views added.

    Raises:
        ValueError: If there are fewer than two items.

    Source:
        Bardes, Ponce and LeCun 2022, arXiv:2105.04906, eq. 1 to 6.
    """
    if len(a) < 2:
        raise ValueError(f"vicreg needs at least 2 items, got {len(a)}")
    a, b = a.float(), b.float()
    invariance = functional.mse_loss(a, b)
    variance = (_shortfall(a) + _shortfall(b)) / 2
    covariance = _shared(a) + _shared(b)
    return invariance_weight * invariance + variance_weight * variance + covariance_weight * covariance


def _shortfall(x: Tensor) -> Tensor:
    return functional.relu(1 - (x.var(0) + 1e-4).sqrt()).mean()


def _shared(x: Tensor) -> Tensor:
    centered = x - x.mean(0)
    covariance = _products(centered, centered) / (len(x) - 1)
    others = covariance.square().sum() - covariance.diagonal().square().sum()
    return others / x.shape[1]
