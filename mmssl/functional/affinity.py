"""Copies labels from context frames to a new frame by the similarity of features, without forming the full affinity.

The same function copies colors when colorization trains a network and masks or joints when a video is labelled.
"""

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar, no_type_check

import numba
import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

T = TypeVar("T")

TILE_CELLS = 8
"""Side of a tile of query cells: small tiles waste few products outside the window, larger ones feed BLAS better."""

BAND_CELLS = 32
"""Rows of query cells that one piece of parallel work covers."""

CUDA_WORKSPACE_BYTES = 256 * 2**20
"""About how much extra memory the path for accelerators takes."""


@dataclass(frozen=True)
class Window:
    """The cells of a context frame that a query cell may copy from, relative to its own place.

    Args:
        radius: Cells to each side; None for the whole frame.
        circular: Only cells at a Euclidean distance of at most `radius`; otherwise the whole square.
    """

    radius: int | float | None
    circular: bool = False

    def __post_init__(self) -> None:
        if self.radius is not None and self.radius < 0:
            raise ValueError(f"radius must be >= 0 or None, got {self.radius}")

    @cached_property
    def half_widths(self) -> NDArray[np.int64]:
        """For each distance in rows, from 0, the cells to each side that belong to the window."""
        if self.radius is None:
            raise ValueError("a window over the whole frame has no half widths")
        rows = np.arange(int(self.radius) + 1)
        if not self.circular:
            return np.full(len(rows), int(self.radius), dtype=np.int64)
        return np.floor(np.sqrt(self.radius**2 - rows**2)).astype(np.int64)

    def for_map(self, height: int, width: int) -> NDArray[np.int64]:
        """`half_widths` cut to what a map of this size can use."""
        if self.radius is None:
            return np.full(height, width, dtype=np.int64)
        return np.minimum(self.half_widths[:height], width)


def propagate(
    query: Float[Tensor, "dim h w"],
    keys: Float[Tensor, "context dim h w"],
    values: Float[Tensor, "context channels h w"],
    *,
    radius: int,
    top_k: int,
    temperature: float,
) -> Float[Tensor, "channels h w"]:
    """Gives each cell of a new frame the mean value of the context cells that look most like it.

    A cell compares itself with the cells of a square window around its own place on every context frame, keeps the
    `top_k` of highest cosine similarity over all context frames together, and averages their values with softmax
    weights. Works tile by tile: extra memory does not grow with the square of the map. Carries no gradient.

    Ties at the edge of the top-k: on the CPU the candidate that comes first wins, in the order context frame, row,
    column; on an accelerator any of them. A feature vector of length zero has similarity 0 to everything.

    Args:
        query: Features of the new frame; normalized here.
        keys: Features of the context frames; normalized here.
        values: What to copy, such as soft masks or colors, one map a channel.
        radius: Cells to each side of the window; the window is cut at the border of the map.
        top_k: Candidates to keep; where the windows hold fewer, all of them.
        temperature: Divides the similarity before the softmax; > 0.

    Returns:
        Values of the new frame, float32.

    Raises:
        ValueError: If shapes disagree, a feature or value is not finite, or a setting is out of range.

    Source:
        Jabri et al. 2020, arXiv:2006.14613, section 3 (label propagation), in the form of Caron et al. 2021,
        arXiv:2104.14294, section 4.2.1.
    """
    windows = [Window(radius)] * len(keys)
    return propagate_normalized(
        normalize_features(query[None])[0],
        list(normalize_features(keys)),
        list(values),
        windows=windows,
        top_k=top_k,
        temperature=temperature,
    )


def normalize_features(features: Float[Tensor, "frames dim h w"]) -> Float[Tensor, "frames dim h w"]:
    """Brings each cell's feature vector to length 1 in float32; vectors of length zero stay zero.

    In the memory of the result the features of a cell lie side by side, as `propagate_normalized` likes them best.

    Raises:
        ValueError: If a feature is not finite.
    """
    cells = features.detach().float().permute(0, 2, 3, 1).contiguous()
    lengths: Tensor = torch.linalg.vector_norm(cells, dim=3, keepdim=True)
    if not bool(torch.isfinite(lengths).all()):
        raise ValueError("a feature is not finite (NaN or infinite)")
    return (cells / lengths.clamp(min=1e-12)).permute(0, 3, 1, 2)


def propagate_normalized(
    query: Float[Tensor, "dim h w"],
    keys: Sequence[Float[Tensor, "dim h w"]],
    values: Sequence[Float[Tensor, "channels h w"]],
    *,
    windows: Sequence[Window],
    top_k: int,
    temperature: float,
) -> Float[Tensor, "channels h w"]:
    """`propagate` for features that `normalize_features` has been through, with a window of its own for each frame.

    Args:
        query: Features of the new frame, normalized.
        keys: Features of each context frame, normalized; frames may lie anywhere in memory.
        values: What to copy from each context frame.
        windows: Window on each context frame.
        top_k: As in `propagate`.
        temperature: As in `propagate`.

    Returns:
        Values of the new frame, float32.

    Raises:
        ValueError: If there is no context frame, a value is not finite, or a setting is out of range.
    """
    if not len(keys) == len(values) == len(windows) or not keys:
        raise ValueError(f"{len(keys)} keys, {len(values)} values, {len(windows)} windows: need one each, at least one")
    for key, value in zip(keys, values, strict=True):
        if key.shape != query.shape or value.shape[1:] != query.shape[1:]:
            raise ValueError(
                f"query {tuple(query.shape)}, keys {tuple(key.shape)}, values {tuple(value.shape)} do not fit together"
            )
    if top_k < 1:
        raise ValueError(f"top_k must be >= 1, got {top_k}")
    if not temperature > 0:
        raise ValueError(f"temperature must be > 0, got {temperature}")
    stacked = torch.stack([value.detach().float().permute(1, 2, 0) for value in values])
    if not bool(torch.isfinite(stacked).all()):
        raise ValueError("a value is not finite (NaN or infinite)")
    half_widths = [window.for_map(*query.shape[1:]) for window in windows]
    if query.device.type == "cpu":
        return _propagate_cpu(query, keys, stacked, half_widths, top_k, temperature)
    return _propagate_accelerator(query, keys, stacked, half_widths, top_k, temperature)


def _propagate_cpu(
    query: Tensor,
    keys: Sequence[Tensor],
    values: Tensor,
    half_widths: Sequence[NDArray[np.int64]],
    top_k: int,
    temperature: float,
) -> Tensor:
    height, width = query.shape[1:]
    out = np.empty((height, width, values.shape[-1]), dtype=np.float32)
    flat_values = values.flatten(0, 2).contiguous().numpy()
    bands = [(rows, columns) for columns in _split(width, TILE_CELLS) for rows in _split(height, BAND_CELLS)]

    def work(band: tuple[tuple[int, int], tuple[int, int]]) -> None:
        (top, bottom), (left, right) = band
        scores, sources = _best_of_band(query, keys, half_widths, band, top_k)
        _mix(scores, sources, flat_values, np.float32(temperature), out[top:bottom, left:right])

    threads = min(torch.get_num_threads(), len(bands))
    if threads == 1:
        for band in bands:
            work(band)
    else:
        _run_in_threads(work, bands, threads)
    return torch.from_numpy(out).permute(2, 0, 1).contiguous()


def _run_in_threads(work: Callable[[T], None], items: Sequence[T], threads: int) -> None:
    """Runs `work` on each item with `threads` threads that each do their matrix products alone."""
    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            for _ in pool.map(work, items):
                pass
    finally:
        torch.set_num_threads(before)


def _split(length: int, largest: int) -> list[tuple[int, int]]:
    """Cuts `length` into ranges of almost equal size, none above `largest`."""
    parts = -(-length // largest)
    edges = [length * part // parts for part in range(parts + 1)]
    return list(itertools.pairwise(edges))


def _cells(features: Float[Tensor, "dim h w"]) -> Float[Tensor, "h w dim"]:
    return features.permute(1, 2, 0)


def _best_of_band(
    query: Tensor,
    keys: Sequence[Tensor],
    half_widths: Sequence[NDArray[np.int64]],
    band: tuple[tuple[int, int], tuple[int, int]],
    top_k: int,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The `top_k` similarities of each cell of a band, falling, and their sources; unused places have source -1."""
    dim, height, width = query.shape
    (top, bottom), (left, right) = band
    columns = right - left
    scores = np.full((bottom - top, columns, top_k), -np.inf, dtype=np.float32)
    sources = np.full((bottom - top, columns, top_k), -1, dtype=np.int64)
    tiles = [
        (first + top, last + top, _cells(query)[first + top : last + top, left:right].reshape(-1, dim))
        for first, last in _split(bottom - top, TILE_CELLS)
    ]
    for frame, (key, halves) in enumerate(zip(keys, half_widths, strict=True)):
        reach_rows, reach_columns = len(halves) - 1, int(halves[0])
        x0, x1 = max(0, left - reach_columns), min(width, right + reach_columns)
        y0, y1 = max(0, top - reach_rows), min(height, bottom + reach_rows)
        strip = _cells(key)[y0:y1, x0:x1].reshape(-1, dim)
        for first, last, cells in tiles:
            low, high = max(0, first - reach_rows), min(height, last + reach_rows)
            products = torch.mm(cells, strip[(low - y0) * (x1 - x0) : (high - y0) * (x1 - x0)].T)
            _merge(
                products.numpy().reshape(last - first, columns, high - low, x1 - x0),
                scores[first - top : last - top],
                sources[first - top : last - top],
                halves,
                (first, left),
                (low, x0),
                (frame, height, width),
            )
    return scores, sources


@numba.njit(nogil=True, cache=True)
@no_type_check
def _merge(products, scores, sources, half_widths, tile_origin, window_origin, layout):
    """Merges one frame's products of a tile into the best so far, kept falling; the earlier of two equals stays first."""
    frame, height, width = layout
    low, x0 = window_origin
    window_rows, window_columns = products.shape[2:]
    last = scores.shape[2] - 1
    reach = len(half_widths) - 1
    for row in range(products.shape[0]):
        y = tile_origin[0] + row
        for column in range(products.shape[1]):
            x = tile_origin[1] + column
            best = scores[row, column]
            origin = sources[row, column]
            worst = best[last]
            for window_row in range(max(0, y - reach - low), min(window_rows, y + reach + 1 - low)):
                half = half_widths[abs(window_row + low - y)]
                begin = max(0, x - half - x0)
                end = min(window_columns, x + half + 1 - x0)
                line = products[row, column, window_row]
                above = 0
                for position in range(begin, end):
                    above += line[position] > worst
                if above == 0:
                    continue
                for position in range(begin, end):
                    score = line[position]
                    if score > worst:
                        place = last
                        while place > 0 and best[place - 1] < score:
                            best[place] = best[place - 1]
                            origin[place] = origin[place - 1]
                            place -= 1
                        best[place] = score
                        origin[place] = (frame * height + low + window_row) * width + x0 + position
                        worst = best[last]


@numba.njit(nogil=True, cache=True)
@no_type_check
def _mix(scores, sources, values, temperature, out):
    """Softmax over each cell's best, and the mean of their values with these weights."""
    channels = values.shape[1]
    for row in range(scores.shape[0]):
        for column in range(scores.shape[1]):
            total = np.float32(0)
            cell = out[row, column]
            cell[:] = 0
            for place in range(scores.shape[2]):
                source = sources[row, column, place]
                if source < 0:
                    break
                weight = np.exp((scores[row, column, place] - scores[row, column, 0]) / temperature)
                total += weight
                for channel in range(channels):
                    cell[channel] += weight * values[source, channel]
            for channel in range(channels):
                cell[channel] /= total


def _propagate_accelerator(
    query: Tensor,
    keys: Sequence[Tensor],
    values: Tensor,
    half_widths: Sequence[NDArray[np.int64]],
    top_k: int,
    temperature: float,
) -> Tensor:
    """Rows of query cells against all the rows their windows reach, a few at a time, in plain tensor operations."""
    _, height, width = query.shape
    reach = max(len(halves) - 1 for halves in half_widths)
    limits = torch.full((len(keys), height), -1, dtype=torch.long)
    for frame, halves in enumerate(half_widths):
        limits[frame, : len(halves)] = torch.from_numpy(halves)
    limits = limits.to(query.device)
    xs = torch.arange(width, device=query.device)
    offsets = (xs[:, None] - xs[None, :]).abs()
    stacked = torch.stack(list(keys))
    flat_values = values.flatten(0, 2)
    row_bytes = 3 * 4 * width * width * len(keys) * min(height, 2 * reach + 1)
    rows = max(1, min(height, CUDA_WORKSPACE_BYTES // row_bytes))
    out = []
    for first in range(0, height, rows):
        last = min(height, first + rows)
        low, high = max(0, first - reach), min(height, last + reach)
        similarity = torch.einsum("dqx,fdky->qxfky", query[:, first:last], stacked[:, :, low:high])
        ys = torch.arange(first, last, device=query.device)
        distances = (ys[:, None] - torch.arange(low, high, device=query.device)[None, :]).abs()
        allowed = offsets[None, :, None, None, :] <= limits[:, distances].permute(1, 0, 2)[:, None, :, :, None]
        similarity = similarity.masked_fill_(~allowed, -torch.inf).flatten(0, 1).flatten(1)
        best, places = similarity.topk(min(top_k, similarity.shape[1]), dim=1)
        weights = F.softmax(best / temperature, dim=1)
        frames = places // ((high - low) * width)
        sources = frames * height * width + low * width + places % ((high - low) * width)
        out.append(torch.einsum("qk,qkc->qc", weights, flat_values[sources]))
    return torch.cat(out).T.reshape(-1, height, width).contiguous()
