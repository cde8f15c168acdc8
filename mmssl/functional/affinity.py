"""Copies labels from context frames to a new frame by the similarity of features, without forming the full affinity.

The same function copies colors when colorization trains a network and masks or joints when a video is labelled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from mmssl.functional.affinity_by_rows import propagate_by_rows
from mmssl.functional.affinity_by_tiles import propagate_by_tiles


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
        return propagate_by_tiles(query, keys, stacked, half_widths, top_k, temperature)
    return propagate_by_rows(query, keys, stacked, half_widths, top_k, temperature)
