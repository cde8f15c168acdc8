"""The ab plane in 313 bins: soft targets, weights that even out rare colors, and colors from probabilities."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from mmssl.functional.color import rgb_to_lab

NUM_BINS = 313
_STEP = 10
_REACH = 110
_LEVELS = 52


def ab_bins() -> Float[Tensor, "313 2"]:
    """Centers of the bins: points of a grid of step 10 that lie among sRGB's colors or within 14 of one, 313 of them.

    Source:
        Zhang, Isola and Efros 2016, arXiv:1603.08511, section 2.1.
    """
    axis = torch.arange(-_REACH, _REACH + 1, _STEP).float()
    grid = torch.cartesian_prod(axis, axis)
    return grid[torch.cdist(grid, _gamut()).amin(1) < 14]


def _gamut() -> Float[Tensor, "colors 2"]:
    """The ab values of the faces of the RGB cube, which cover those of the cube."""
    level = torch.linspace(0, 1, _LEVELS)
    square = torch.cartesian_prod(level, level)
    faces = []
    for axis in range(3):
        for end in (0.0, 1.0):
            others = list(square.unbind(1))
            others.insert(axis, torch.full((len(square),), end))
            faces.append(torch.stack(others))
    return rgb_to_lab(torch.cat(faces, dim=1)[:, :, None])[1:, :, 0].T


def soft_bins(
    ab: Float[Tensor, "colors 2"], bins: Float[Tensor, "bins 2"], *, neighbors: int = 5, sigma: float = 5.0
) -> Float[Tensor, "colors bins"]:
    """Each color as shares of its nearest bins, which fall with distance as a Gaussian does.

    Args:
        ab: Colors.
        bins: Centers.
        neighbors: Bins that get a share.
        sigma: Of the Gaussian, in units of ab.

    Source:
        Zhang, Isola and Efros 2016, arXiv:1603.08511, section 2.1.
    """
    distance, nearest = torch.cdist(ab, bins).topk(neighbors, largest=False)
    shares = functional.softmax(-0.5 * (distance / sigma).square(), dim=1)
    return torch.zeros(len(ab), len(bins), device=ab.device, dtype=ab.dtype).scatter(1, nearest, shares)


def rebalancing_weights(
    shares: Float[Tensor, " bins"], bins: Float[Tensor, "bins 2"], *, sigma: float = 5.0, uniform: float = 0.5
) -> Float[Tensor, " bins"]:
    """Weights of the bins that make rare colors count: the inverse of their share, smoothed and mixed with an even one.

    Args:
        shares: How frequent each bin is; they sum to 1.
        bins: Centers.
        sigma: Of the Gaussian that smooths the shares over the plane, in units of ab.
        uniform: Share of the even distribution in the mixture, in 0..1; 1 gives all bins the same weight.

    Returns:
        Weights whose mean over the smoothed shares is 1.

    Source:
        Zhang, Isola and Efros 2016, arXiv:1603.08511, eq. 4.
    """
    kernel = torch.exp(-0.5 * (torch.cdist(bins, bins) / sigma).square())
    smoothed = shares @ (kernel / kernel.sum(1, keepdim=True))
    smoothed = smoothed / smoothed.sum()
    weights = 1 / ((1 - uniform) * smoothed + uniform / len(bins))
    return weights / (smoothed * weights).sum()


def annealed_mean(
    logits: Float[Tensor, "batch bins h w"], bins: Float[Tensor, "bins 2"], *, temperature: float = 0.38
) -> Float[Tensor, "batch 2 h w"]:
    """The mean color of a distribution that was sharpened first; a temperature of 1 gives its mean, of 0 its mode.

    Source:
        Zhang, Isola and Efros 2016, arXiv:1603.08511, eq. 5.
    """
    probability = functional.softmax(logits / max(temperature, math.ulp(1.0)), dim=1)
    return torch.einsum("bqhw,qc->bchw", probability, bins)
