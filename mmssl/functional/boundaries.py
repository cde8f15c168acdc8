"""Outlines of masks, and how far they reach."""

import math

import torch
from jaxtyping import Bool
from torch import Tensor
from torch.nn import functional as F


def boundary_map(mask: Bool[Tensor, "height width"]) -> Bool[Tensor, "height width"]:
    """Marks each pixel whose neighbor to the right, below, or diagonally between them is of the other kind.

    The outline is thus one pixel wide and lies half a pixel towards the origin. The last row looks only to the right,
    the last column only downwards, and the corner between them is never marked; a mask cut off by the right or lower
    border has no outline along it.

    Source:
        The rules of `seg2bmap`, with which Martin et al. 2004 and the DAVIS toolkits find boundaries.
    """
    height, width = mask.shape
    marked = torch.zeros_like(mask)
    across = mask[:, :-1] ^ mask[:, 1:]
    down = mask[:-1] ^ mask[1:]
    diagonal = mask[:-1, :-1] ^ mask[1:, 1:]
    marked[: height - 1, : width - 1] = across[: height - 1] | down[:, : width - 1] | diagonal
    marked[height - 1, : width - 1] = across[height - 1]
    marked[: height - 1, width - 1] = down[:, width - 1]
    return marked


def dilate_by_disk(mask: Bool[Tensor, "height width"], *, radius: int) -> Bool[Tensor, "height width"]:
    """Marks each pixel at a Euclidean distance of at most `radius` pixels from a marked one.

    Raises:
        ValueError: If the radius is negative.
    """
    if radius < 0:
        raise ValueError(f"radius must be >= 0, got {radius}")
    rows, columns = mask.any(dim=1).nonzero(), mask.any(dim=0).nonzero()
    out = torch.zeros_like(mask)
    if not len(rows):
        return out
    top, bottom = max(0, int(rows[0]) - radius), min(mask.shape[0], int(rows[-1]) + radius + 1)
    left, right = max(0, int(columns[0]) - radius), min(mask.shape[1], int(columns[-1]) + radius + 1)
    inner, result = mask[top:bottom, left:right], out[top:bottom, left:right]
    height, width = inner.shape
    counts = F.pad(inner.int(), (radius + 1, radius)).cumsum(dim=1)
    for dy in range(min(radius, height - 1) + 1):
        half = math.isqrt(radius**2 - dy**2)
        within = (
            counts[:, radius + half + 1 : radius + half + 1 + width] > counts[:, radius - half : radius - half + width]
        )
        result[: height - dy] |= within[dy:]
        result[dy:] |= within[: height - dy]
    return out
