"""Where a cell or a moment is, as numbers that a transformer can read."""

import torch
from jaxtyping import Float
from torch import Tensor


def sincos_positions(height: int, width: int, dim: int) -> Float[Tensor, "cells dim"]:
    """Sines and cosines of each cell's row and column, at wavelengths from 2 pi to 20,000 pi cells.

    Args:
        height: Rows of cells.
        width: Columns of cells.
        dim: Length of a position, a multiple of 4: half of it tells the column, half the row.

    Returns:
        Float32, row by row.

    Raises:
        ValueError: If dim is not a multiple of 4.

    Source:
        Vaswani et al. 2017, arXiv:1706.03762, section 3.5, for each axis, as He et al. 2021, arXiv:2111.06377, do.
    """
    if dim % 4:
        raise ValueError(f"positions of two axes need a dim that is a multiple of 4, got {dim}")
    rows, columns = torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")
    return torch.cat([_waves(axis.flatten(), dim // 2) for axis in (columns, rows)], dim=1).float()


def sincos_moments(moments: Float[Tensor, " moments"], dim: int) -> Float[Tensor, "moments dim"]:
    """Sines and cosines of moments in time, at wavelengths from 2 pi to 20,000 pi of their unit.

    Args:
        moments: In a unit of about the time that is to be told apart.
        dim: Length of a position, a multiple of 2.

    Returns:
        Float32.

    Raises:
        ValueError: If dim is not a multiple of 2.

    Source:
        Vaswani et al. 2017, arXiv:1706.03762, section 3.5.
    """
    if dim % 2:
        raise ValueError(f"positions in time need a dim that is a multiple of 2, got {dim}")
    return _waves(moments.double(), dim).float()


def _waves(places: Tensor, dim: int) -> Tensor:
    """Sines, then cosines of places along one axis, [places, dim]."""
    rates = 10_000.0 ** (-torch.arange(dim // 2).double() / (dim // 2))
    angles = places[:, None] * rates
    return torch.cat((angles.sin(), angles.cos()), dim=1)
