"""Points as heat maps over cells, and back, at a small fraction of a cell."""

import torch
from jaxtyping import Float
from torch import Tensor

REACH_CELLS = 2
"""Cells to each side of the peak that the read-out looks at."""


def encode_points(
    points: Float[Tensor, "points 2"], *, cells: tuple[int, int], stride: int | float, sigma_cells: int | float
) -> Float[Tensor, "points h w"]:
    """Draws each point as a Gaussian of height 1 around it, sampled at the centers of the cells.

    Args:
        points: x and y in pixels of the encoded frame; the center of the top-left pixel is (0.5, 0.5). NaN: absent.
        cells: Rows and columns of the maps.
        stride: Pixels per cell.
        sigma_cells: Standard deviation, in cells; from about 0.5 on a point can be read back anywhere.

    Returns:
        One map a point; zero everywhere for absent points.

    Raises:
        ValueError: If stride or sigma is not positive, or a coordinate is infinite.
    """
    if not (stride > 0 and sigma_cells > 0):
        raise ValueError(f"stride and sigma_cells must be > 0, got {stride} and {sigma_cells}")
    if bool(torch.isinf(points).any()):
        raise ValueError("a coordinate is infinite; points that are absent are NaN")
    place = points / stride
    across = torch.arange(cells[1], device=points.device, dtype=place.dtype) + 0.5
    down = torch.arange(cells[0], device=points.device, dtype=place.dtype) + 0.5
    columns = (-((across - place[:, :1]) ** 2) / (2 * sigma_cells**2)).exp()
    rows = (-((down - place[:, 1:]) ** 2) / (2 * sigma_cells**2)).exp()
    return (rows[:, :, None] * columns[:, None, :]).nan_to_num(nan=0.0)


def decode_points(
    maps: Float[Tensor, "points h w"], *, stride: int | float
) -> tuple[Float[Tensor, "points 2"], Float[Tensor, " points"]]:
    """Finds each map's point: the center of the round Gaussian that fits the cells around the peak best.

    The fit is a least-squares parabola through the logarithm of the cells, each weighted by its squared value. It is
    exact for what `encode_points` draws, at the border of the map too, where a weighted mean would be drawn inwards.
    Where the cells around the peak form no hill, it is their weighted mean.

    Args:
        maps: Nothing below zero counts; the scale of a map does not matter to its point.
        stride: Pixels per cell.

    Returns:
        x and y in pixels of the encoded frame, inside of it, NaN for a map that is zero everywhere; and the value at
        the peak of each map, as the confidence.

    Source:
        Guo 2011, "A Simple Algorithm for Fitting a Gaussian Function", IEEE Signal Processing Magazine 28(5).
    """
    if maps.numel() == 0:
        return maps.new_zeros(len(maps), 2), maps.new_zeros(len(maps))
    height, width = maps.shape[1:]
    confidence, peak = maps.clamp(min=0).flatten(1).max(dim=1)
    row, column = peak // width, peak % width
    steps = torch.arange(-REACH_CELLS, REACH_CELLS + 1, device=maps.device)
    dy, dx = (grid.flatten() for grid in torch.meshgrid(steps, steps, indexing="ij"))
    ys, xs = row[:, None] + dy, column[:, None] + dx
    inside = (ys >= 0) & (ys < height) & (xs >= 0) & (xs < width)
    places = ys.clamp(0, height - 1) * width + xs.clamp(0, width - 1)
    values = maps.clamp(min=0).flatten(1).gather(1, places).double() * inside
    values = values / confidence.clamp(min=torch.finfo(maps.dtype).tiny)[:, None]

    offsets = torch.stack((dx, dy), dim=1).double()
    mean = values @ offsets / values.sum(dim=1, keepdim=True).clamp(min=1e-12)
    terms = torch.cat((torch.ones_like(offsets[:, :1]), offsets, -(offsets**2).sum(dim=1, keepdim=True)), dim=1)
    weights = values**2
    normal = torch.einsum("pc,ci,cj->pij", weights, terms, terms)
    target = torch.einsum("pc,ci,pc->pi", weights, terms, values.clamp(min=1e-30).log())
    solution, failed = torch.linalg.solve_ex(normal + 1e-12 * torch.eye(4, device=maps.device).double(), target)
    fitted = solution[:, 1:3] / (2 * solution[:, 3:])
    is_hill = (failed == 0) & (solution[:, 3] > 1e-3) & (fitted.abs().amax(dim=1) <= 1)
    offset = torch.where(is_hill[:, None], fitted, mean)

    points = (torch.stack((column, row), dim=1) + 0.5 + offset) * stride
    points = points.clamp(min=0).minimum(points.new_tensor([width * stride, height * stride]))
    return points.masked_fill((confidence <= 0)[:, None], torch.nan).to(maps.dtype), confidence
