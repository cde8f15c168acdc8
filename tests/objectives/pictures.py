"""The pictures of a grid, taken apart again."""

from torch import Tensor
from torch.nn.functional import pad


def taken_apart(grid: Tensor, *, rows: int, side: int) -> Tensor:
    """What `picture_grid` was given, `[rows, batch, 3, side, side]`; sides up to 32 have gaps of one pixel."""
    framed = pad(grid, (0, 1, 0, 1)).unflatten(2, (-1, side + 1)).unflatten(1, (rows, side + 1))
    return framed[:, :, :side, :, :side].permute(1, 3, 0, 2, 4)
