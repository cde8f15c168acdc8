"""Pictures stand where they should, with white between them alone."""

import torch

from mmssl.functional.picture_grid import picture_grid


def test_rows_and_columns() -> None:
    above, below = torch.rand(2, 3, 3, 4), torch.rand(2, 3, 3, 4)
    grid = picture_grid((above, below))
    assert grid.shape == (3, 2 * 3 + 1, 2 * 4 + 1)
    assert torch.equal(grid[:, :3, :4], above[0])
    assert torch.equal(grid[:, :3, 5:], above[1])
    assert torch.equal(grid[:, 4:, :4], below[0])
    assert (grid[:, 3] == 1).all()
    assert (grid[:, :, 4] == 1).all()


def test_gaps_grow_with_the_pictures() -> None:
    assert picture_grid([torch.zeros(2, 3, 8, 64)]).shape == (3, 8, 2 * 64 + 2)
