"""The path of `propagate` for the CPU: tiles of cells against the window around them, products in BLAS, top-k in a loop.

Worker threads share the tiles; each does its products alone, so that BLAS and the compiled loop never wait for each
other's thread pools.
"""

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, no_type_check

import numba
import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

T = TypeVar("T")
Band = tuple[tuple[int, int], tuple[int, int]]
"""First and last but one row, and column, of a block of query cells."""

TILE_CELLS = 8
"""Side of a tile of query cells: small tiles waste few products outside the window, larger ones feed BLAS better."""

BAND_CELLS = 32
"""Rows of query cells that one piece of parallel work covers."""


def propagate_by_tiles(
    query: Float[Tensor, "dim h w"],
    keys: Sequence[Float[Tensor, "dim h w"]],
    values: Float[Tensor, "context h w channels"],
    half_widths: Sequence[NDArray[np.int64]],
    top_k: int,
    temperature: float,
) -> Float[Tensor, "channels h w"]:
    """See `propagate_normalized`; `half_widths` has the window of each frame, row by row from its middle."""
    height, width = query.shape[1:]
    out = np.empty((height, width, values.shape[-1]), dtype=np.float32)
    flat_values = values.flatten(0, 2).contiguous().numpy()
    bands = [(rows, columns) for columns in split(width, TILE_CELLS) for rows in split(height, BAND_CELLS)]

    def work(band: Band) -> None:
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


def split(length: int, largest: int) -> list[tuple[int, int]]:
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
    band: Band,
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
        for first, last in split(bottom - top, TILE_CELLS)
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
