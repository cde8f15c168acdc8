"""Which cell of one crop of an image shows what a cell of another crop shows."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def cell_centers(
    boxes: Float[Tensor, "batch 5"], cells: tuple[int, int]
) -> tuple[Float[Tensor, "batch cells"], Float[Tensor, "batch cells"]]:
    """Where in the image the centers of a crop's cells lie.

    Args:
        boxes: Top, left, height and width in pixels of the image, and 1 where the crop is mirrored, 0 where not.
        cells: Rows and columns of the crop's feature map.

    Returns:
        y and x in pixels of the image, cells row by row; the center of the top-left pixel is (0.5, 0.5).
    """
    rows, columns = cells
    top, left, height, width, mirrored = boxes[:, :, None].unbind(1)
    down = (torch.arange(rows, device=boxes.device) + 0.5) / rows
    across = (torch.arange(columns, device=boxes.device) + 0.5) / columns
    down, across = down.repeat_interleave(columns), across.repeat(rows)
    across = torch.where(mirrored > 0, 1 - across, across)
    return top + down * height, left + across * width


def matching_cells(
    first: Float[Tensor, "batch 5"], second: Float[Tensor, "batch 5"], cells: tuple[int, int]
) -> Int[Tensor, "batch cells"]:
    """The cell of a second crop in which the center of each cell of the first lies.

    Args:
        first: Boxes as in `cell_centers`.
        second: Boxes of the other crop of the same images.
        cells: Rows and columns of both crops' feature maps.

    Returns:
        Number of the cell, row by row; -1 where the second crop does not show the place.
    """
    rows, columns = cells
    y, x = cell_centers(first, cells)
    top, left, height, width, mirrored = second[:, :, None].unbind(1)
    down = torch.floor((y - top) / height * rows).long()
    along = (x - left) / width
    across = torch.floor(torch.where(mirrored > 0, 1 - along, along) * columns).long()
    inside = (down >= 0) & (down < rows) & (across >= 0) & (across < columns)
    return torch.where(inside, down * columns + across, -1)


def most_central(matches: Int[Tensor, "batch cells"], cells: tuple[int, int]) -> Int[Tensor, " batch"]:
    """Of the cells that have a match, the one nearest to the middle of the map; of all cells where none has one.

    Args:
        matches: As `matching_cells` gives them.
        cells: Rows and columns of the map.
    """
    rows, columns = (torch.arange(count, device=matches.device) - (count - 1) / 2 for count in cells)
    distance = (rows[:, None] ** 2 + columns**2).flatten().expand_as(matches)
    return torch.where(matches >= 0, distance, distance + distance.max() + 1).argmin(1)
