"""Copying values from reference frames to a target frame by similarity of features, for training.

This is the idea that `functional.affinity.propagate` uses on new videos: each target cell looks at the cells of the
reference frames and takes a weighted mean of what they carry, colors while an encoder trains, masks or keypoints
afterwards. `propagate` looks at a window and keeps the best few; this form looks at every cell of the frames or of a
window, works on a batch, and has a gradient, so that the features learn where to look.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional


def attend(
    query: Float[Tensor, "batch dim h w"],
    keys: Float[Tensor, "batch context dim h w"],
    values: Float[Tensor, "batch context channels h w"],
    *,
    temperature: float,
    radius: int | None = None,
) -> Float[Tensor, "batch channels h w"]:
    """Copies values of context cells to each cell of the query, weighted by a softmax over dot products.

    Computed in float32 under autocast, too.

    Args:
        query: Features of the target frame; normalise them beforehand where cosine similarity is wanted.
        keys: Features of the reference frames.
        values: What each reference cell carries.
        temperature: Divides the dot products; > 0.
        radius: Cells to each side that a cell may copy from, around its own place on every context frame; None for all.

    Raises:
        ValueError: If temperature is not positive or radius is negative.

    Source:
        Vondrick et al. 2018, arXiv:1806.09594, eq. 1 and 2; the window: Lai and Xie 2019, arXiv:1905.00875, section 3.1.
    """
    _check(temperature, radius)
    batch, context, channels, height, width = values.shape
    cells = (batch, context * height * width)
    with torch.autocast(query.device.type, enabled=False):
        copied = functional.scaled_dot_product_attention(
            query.float().flatten(2).transpose(1, 2),
            keys.float().movedim(2, -1).reshape(*cells, -1),
            values.float().movedim(2, -1).reshape(*cells, -1),
            attn_mask=None if radius is None else _in_window(height, width, radius, query.device).repeat(1, context),
            scale=1 / temperature,
        )
    return copied.transpose(1, 2).reshape(batch, channels, height, width).contiguous()


def attention(
    query: Float[Tensor, "batch dim h w"],
    keys: Float[Tensor, "batch context dim h w"],
    *,
    cells: Int[Tensor, "batch 2"],
    temperature: float,
    radius: int | None = None,
) -> Float[Tensor, "batch context h w"]:
    """The weights with which `attend` copies to one cell of each query, for pictures; over a context they sum to 1.

    Args:
        query: As in `attend`.
        keys: As in `attend`.
        cells: Row and column of the cell in each query.
        temperature: As in `attend`.
        radius: As in `attend`.

    Raises:
        ValueError: If temperature is not positive or radius is negative.
    """
    _check(temperature, radius)
    batch, _, _, height, width = keys.shape
    asking = query[torch.arange(batch, device=query.device), :, cells[:, 0], cells[:, 1]]
    products = torch.einsum("bd,bcdhw->bchw", asking.float(), keys.float()) / temperature
    if radius is not None:
        seen = _in_window(height, width, radius, query.device)[cells[:, 0] * width + cells[:, 1]]
        products = products.masked_fill(~seen.reshape(batch, 1, height, width), -torch.inf)
    return products.flatten(1).softmax(1).reshape(products.shape)


def _check(temperature: float, radius: int | None) -> None:
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    if radius is not None and radius < 0:
        raise ValueError(f"radius must be >= 0 or None, got {radius}")


def _in_window(height: int, width: int, radius: int, device: torch.device) -> Bool[Tensor, "cells cells"]:
    """Whether two cells of a map are at most `radius` rows and columns apart."""
    rows, columns = torch.arange(height, device=device), torch.arange(width, device=device)
    near_rows = (rows[:, None] - rows).abs() <= radius
    near_columns = (columns[:, None] - columns).abs() <= radius
    return (near_rows[:, None, :, None] & near_columns[None, :, None, :]).reshape(height * width, height * width)
