import itertools

import pytest
import torch
from torch import Tensor

from mmssl.functional.boundaries import boundary_map, dilate_by_disk


def boundary_by_loops(mask: Tensor) -> Tensor:
    height, width = mask.shape
    out = torch.zeros_like(mask)
    for y, x in itertools.product(range(height), range(width)):
        neighbors = [(y, x + 1), (y + 1, x), (y + 1, x + 1)]
        if y == height - 1:
            neighbors = [(y, x + 1)]
        if x == width - 1:
            neighbors = [(y + 1, x)]
        if (y, x) != (height - 1, width - 1):
            out[y, x] = any(bool(mask[place] != mask[y, x]) for place in neighbors)
    return out


def dilation_by_loops(mask: Tensor, radius: int) -> Tensor:
    ys, xs = torch.meshgrid(torch.arange(mask.shape[0]), torch.arange(mask.shape[1]), indexing="ij")
    out = torch.zeros_like(mask)
    for y, x in mask.nonzero().tolist():
        out |= (ys - y) ** 2 + (xs - x) ** 2 <= radius**2
    return out


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (6, 1), (2, 2), (9, 13)])
def test_boundary_matches_loops(shape: tuple[int, int]) -> None:
    for share in (0.1, 0.5, 0.9):
        mask = torch.rand(shape) < share
        assert torch.equal(boundary_map(mask), boundary_by_loops(mask))


def test_boundary_of_a_square_is_offset_towards_the_origin() -> None:
    mask = torch.zeros(6, 6, dtype=torch.bool)
    mask[2:4, 2:4] = True
    expected = torch.zeros(6, 6, dtype=torch.bool)
    expected[1:4, 1:4] = True
    expected[2, 2] = False
    assert torch.equal(boundary_map(mask), expected)


def test_no_boundary_along_right_and_lower_border() -> None:
    mask = torch.zeros(5, 5, dtype=torch.bool)
    mask[3:, 3:] = True
    marked = boundary_map(mask).nonzero().tolist()
    assert marked == [[2, 2], [2, 3], [2, 4], [3, 2], [4, 2]]


@pytest.mark.parametrize("radius", [0, 1, 2, 3, 8])
@pytest.mark.parametrize("shape", [(1, 9), (9, 1), (12, 17)])
def test_dilation_matches_loops(shape: tuple[int, int], radius: int) -> None:
    for share in (0.02, 0.2):
        mask = torch.rand(shape) < share
        assert torch.equal(dilate_by_disk(mask, radius=radius), dilation_by_loops(mask, radius))


def test_dilation_of_a_pixel_is_a_disk() -> None:
    mask = torch.zeros(7, 7, dtype=torch.bool)
    mask[3, 3] = True
    assert dilate_by_disk(mask, radius=2).sum(dim=1).tolist() == [0, 1, 3, 5, 3, 1, 0]


def test_refuses_a_negative_radius() -> None:
    with pytest.raises(ValueError, match="radius"):
        dilate_by_disk(torch.zeros(2, 2, dtype=torch.bool), radius=-1)
