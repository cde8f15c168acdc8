"""Where a cell is, as numbers that a transformer can read."""

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
    rates = 10_000.0 ** (-torch.arange(dim // 4).double() / (dim // 4))
    halves = [torch.cat(((axis.flatten()[:, None] * rates).sin(), (axis.flatten()[:, None] * rates).cos()), dim=1)
              for axis in (columns, rows)]  # fmt: skip
    return torch.cat(halves, dim=1).float()
