"""Copies labels by a softmax over whole windows, which move with the object on frames far away: the rule of MAST."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mmssl.functional.affinity_by_tiles import split

TILE_CELLS = 8
"""Side of a tile of query cells."""

STEPS_PER_CELL = 1024
"""Mean places are rounded to these, so that errors of rounding do not decide what lies on the frame."""


def propagate_dilated(
    query: Float[Tensor, "dim h w"],
    keys: Sequence[Float[Tensor, "dim h w"]],
    values: Sequence[Float[Tensor, "channels h w"]],
    *,
    dilations: Sequence[int],
    radius: int,
    temperature: float,
) -> Float[Tensor, "channels h w"]:
    """Gives each cell the mean of a window on each context frame, with softmax weights over all windows together.

    The window of a frame of dilation 1 lies around the cell's own place. On a frame of dilation d the cell first looks at
    every d-th cell up to `radius * d` away, takes the softmax over what it sees, and puts its window around the mean
    place, which falls between cells: features and values are interpolated there. Places outside the frame take no part.
    Works tile by tile. Carries no gradient.

    Args:
        query: Features of the new frame, as long as they are: similarity is the dot product.
        keys: Features of each context frame.
        values: What to copy from each.
        dilations: Of the first look at each context frame; 1 for none.
        radius: Cells to each side of a window, which is a square.
        temperature: Divides the dot product; > 0.

    Returns:
        Values of the new frame, float32.

    Raises:
        ValueError: If there is no context frame, or a setting is out of range.

    Source:
        Lai, Lu and Xie 2020, arXiv:2002.07793, section 3.3, and its evaluation on DAVIS-2017. There, places outside the
        frame count as cells of zero features and no label, and all frames take the values at the last one's windows.
    """
    if not len(keys) == len(values) == len(dilations) or not keys:
        raise ValueError(
            f"{len(keys)} keys, {len(values)} values, {len(dilations)} dilations: need one each, at least one"
        )
    if radius < 0 or min(dilations) < 1 or not temperature > 0:
        raise ValueError(
            f"need radius >= 0, dilations >= 1 and temperature > 0, got {radius}, {list(dilations)} and {temperature}"
        )
    query = query.detach().float()
    keys, values = [key.detach().float() for key in keys], [value.detach().float() for value in values]
    centers = [
        None if dilation == 1 else _searched(query, key, dilation, radius, temperature)
        for key, dilation in zip(keys, dilations, strict=True)
    ]
    out = query.new_zeros(len(values[0]), *query.shape[1:])
    for rows, columns in _tiles(query):
        cells = query[:, rows, columns].flatten(1).T
        around = _TileWindow.around(rows, columns, radius, query)
        windows = [
            around if center is None else _Window.around(center[:, rows, columns].flatten(1).T, radius, key)
            for center, key in zip(centers, keys, strict=True)
        ]
        scores = [window.products(cells, key) for window, key in zip(windows, keys, strict=True)]
        ends = list(itertools.accumulate(each.shape[1] for each in scores))
        weights = (torch.cat(scores, dim=1) / temperature).softmax(dim=1).tensor_split(ends[:-1], dim=1)
        mixed = sum(window.mean(part, value) for window, part, value in zip(windows, weights, values, strict=True))
        assert isinstance(mixed, Tensor)
        out[:, rows, columns] = mixed.T.reshape(out[:, rows, columns].shape)
    return out


def _places(of: Float[Tensor, "dim h w"]) -> Float[Tensor, "2 h w"]:
    """Row and column of each cell."""
    rows, columns = (torch.arange(length, device=of.device, dtype=torch.float32) for length in of.shape[1:])
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"))


def _searched(
    query: Float[Tensor, "dim h w"], key: Float[Tensor, "dim h w"], dilation: int, radius: int, temperature: float
) -> Float[Tensor, "2 h w"]:
    """Where each cell finds itself on another frame when it looks at every `dilation`-th cell around its place."""
    found = _places(query)
    for top, left in itertools.product(range(min(dilation, query.shape[1])), range(min(dilation, query.shape[2]))):
        coarse, other = query[:, top::dilation, left::dilation], key[:, top::dilation, left::dilation]
        own = _places(coarse)
        for rows, columns in _tiles(coarse):
            window = _TileWindow.around(rows, columns, radius, coarse)
            scores = window.products(coarse[:, rows, columns].flatten(1).T, other)
            place = window.mean((scores / temperature).softmax(dim=1), own)
            whole = place.new_tensor([top, left]) + dilation * place
            whole = (whole * STEPS_PER_CELL).round() / STEPS_PER_CELL
            found[:, top::dilation, left::dilation][:, rows, columns] = whole.T.reshape(own[:, rows, columns].shape)
    return found


def _tiles(of: Float[Tensor, "dim h w"]) -> Iterator[tuple[slice, slice]]:
    for rows, columns in itertools.product(*(split(length, TILE_CELLS) for length in of.shape[1:])):
        yield slice(*rows), slice(*columns)


@dataclass(frozen=True)
class _TileWindow:
    """The squares of places around the cells of a tile, on a frame of the same size: plain products, most of them needed.

    Args:
        box: Rows and columns of the frame that hold all the places.
        is_outside: Which cells of the box, row by row, are not in the square of each cell of the tile.
    """

    box: tuple[slice, slice]
    is_outside: Bool[Tensor, "queries places"]

    @staticmethod
    def around(rows: slice, columns: slice, radius: int, frame: Float[Tensor, "dim h w"]) -> "_TileWindow":
        box, far = [], []
        for tile, length in zip((rows, columns), frame.shape[1:], strict=True):
            box.append(slice(max(0, tile.start - radius), min(length, tile.stop + radius)))
            own = torch.arange(tile.start, tile.stop, device=frame.device)
            far.append((own[:, None] - torch.arange(box[-1].start, box[-1].stop, device=frame.device)).abs() > radius)
        is_outside = far[0][:, None, :, None] | far[1][None, :, None, :]
        return _TileWindow((box[0], box[1]), is_outside.flatten(0, 1).flatten(1))

    def products(
        self, cells: Float[Tensor, "queries dim"], key: Float[Tensor, "dim h w"]
    ) -> Float[Tensor, "queries places"]:
        """Dot product of each query with the cells of the box, -inf outside its square."""
        return (cells @ key[:, self.box[0], self.box[1]].flatten(1)).masked_fill_(self.is_outside, -torch.inf)

    def mean(
        self, weights: Float[Tensor, "queries places"], values: Float[Tensor, "channels h w"]
    ) -> Float[Tensor, "queries channels"]:
        """Sum of the values in the box with these weights."""
        return weights @ values[:, self.box[0], self.box[1]].flatten(1).T


@dataclass(frozen=True)
class _Window:
    """Squares of places, a cell apart, around a center for each query; centers may lie between cells.

    Args:
        box: Rows and columns of the frame that hold all the places.
        sources: For each query the cells around its places, numbered in the box: one more a side than there are places.
        fractions: How far, in rows and columns, places lie from the cell before them.
        is_inside: Which places lie on the frame.
    """

    box: tuple[slice, slice]
    sources: Tensor
    fractions: Float[Tensor, "queries 2"]
    is_inside: Tensor

    @staticmethod
    def around(centers: Float[Tensor, "queries 2"], radius: int, frame: Float[Tensor, "dim h w"]) -> "_Window":
        base = centers.floor()
        steps = torch.arange(-radius, radius + 2, device=centers.device)
        cells, inside, box = [], [], []
        for axis, length in enumerate(frame.shape[1:]):
            places = centers[:, axis, None] + steps[:-1]
            inside.append((places >= 0) & (places <= length - 1))
            each = (base[:, axis, None].long() + steps).clamp(0, length - 1)
            box.append(slice(int(each.min()), int(each.max()) + 1))
            cells.append(each - box[-1].start)
        width = box[1].stop - box[1].start
        sources = cells[0][:, :, None] * width + cells[1][:, None, :]
        return _Window((box[0], box[1]), sources, centers - base, inside[0][:, :, None] & inside[1][:, None, :])

    def products(
        self, cells: Float[Tensor, "queries dim"], key: Float[Tensor, "dim h w"]
    ) -> Float[Tensor, "queries places"]:
        """Dot product of each query with its places, -inf outside the frame."""
        products = (
            (cells @ key[:, self.box[0], self.box[1]].flatten(1))
            .gather(1, self.sources.flatten(1))
            .view_as(self.sources)
        )
        down, across = self.fractions[:, 0, None, None], self.fractions[:, 1, None, None]
        products = products[:, :-1] * (1 - down) + products[:, 1:] * down
        products = products[..., :-1] * (1 - across) + products[..., 1:] * across
        return products.masked_fill(~self.is_inside, -torch.inf).flatten(1)

    def mean(
        self, weights: Float[Tensor, "queries places"], values: Float[Tensor, "channels h w"]
    ) -> Float[Tensor, "queries channels"]:
        """Sum of the values at each query's places with these weights."""
        down, across = self.fractions[:, 0, None, None], self.fractions[:, 1, None, None]
        places = weights.view_as(self.is_inside)
        spread = weights.new_zeros(self.sources.shape)
        spread[:, :-1, :-1] += places * (1 - down) * (1 - across)
        spread[:, :-1, 1:] += places * (1 - down) * across
        spread[:, 1:, :-1] += places * down * (1 - across)
        spread[:, 1:, 1:] += places * down * across
        flat = values[:, self.box[0], self.box[1]].flatten(1)
        return (
            weights.new_zeros(len(weights), flat.shape[1]).scatter_add_(1, self.sources.flatten(1), spread.flatten(1))
            @ flat.T
        )
