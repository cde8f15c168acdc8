"""The path of `propagate` for accelerators: rows of cells against all the rows their windows reach, a few at a time."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

WORKSPACE_BYTES = 256 * 2**20
"""About how much extra memory it takes."""


def propagate_by_rows(
    query: Float[Tensor, "dim h w"],
    keys: Sequence[Float[Tensor, "dim h w"]],
    values: Float[Tensor, "context h w channels"],
    half_widths: Sequence[NDArray[np.int64]],
    top_k: int,
    temperature: float,
) -> Float[Tensor, "channels h w"]:
    """See `propagate_normalized`; `half_widths` has the window of each frame, row by row from its middle."""
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
    rows = max(1, min(height, WORKSPACE_BYTES // row_bytes))
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
