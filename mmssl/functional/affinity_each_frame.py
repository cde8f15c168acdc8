"""Copies labels from each context frame on its own, and averages: the rule of UVC."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

WORKSPACE_BYTES = 64 * 2**20
"""About how much extra memory it takes."""


def propagate_each_frame(
    query: Float[Tensor, "dim h w"],
    keys: Sequence[Float[Tensor, "dim h w"]],
    values: Sequence[Float[Tensor, "channels h w"]],
    *,
    top_k: int,
    temperature: float,
) -> Float[Tensor, "channels h w"]:
    """Gives each cell the mean over context frames of what it copies from that frame.

    A cell compares itself with every cell of the frame by the dot product, takes the softmax over all of them, and adds up
    the values of the `top_k` largest with their weights, which are not brought to a sum of 1 again: a frame with many cells
    that look alike counts less. Works on a few cells at a time. Carries no gradient.

    Args:
        query: Features of the new frame, as long as they are.
        keys: Features of each context frame.
        values: What to copy from each.
        top_k: Cells to keep of each frame; where it has fewer, all of them.
        temperature: Divides the dot product; > 0.

    Returns:
        Values of the new frame, float32.

    Raises:
        ValueError: If there is no context frame, or a setting is out of range.

    Source:
        Li et al. 2019, arXiv:1909.11895, and its evaluation on DAVIS-2017.
    """
    if not len(keys) == len(values) or not keys:
        raise ValueError(f"{len(keys)} keys, {len(values)} values: need one each, at least one")
    if top_k < 1 or not temperature > 0:
        raise ValueError(f"top_k must be >= 1 and temperature > 0, got {top_k} and {temperature}")
    _, height, width = query.shape
    cells = query.detach().float().flatten(1).T
    total = query.new_zeros(height * width, values[0].shape[0], dtype=torch.float32)
    step = max(1, WORKSPACE_BYTES // (3 * 4 * height * width))
    for key, value in zip(keys, values, strict=True):
        flat_key, flat_value = key.detach().float().flatten(1), value.detach().float().flatten(1).T
        for first in range(0, height * width, step):
            weights = (cells[first : first + step] @ flat_key / temperature).softmax(dim=1)
            best, places = weights.topk(min(top_k, height * width), dim=1)
            total[first : first + step] += torch.einsum("qk,qkc->qc", best, flat_value[places])
    return (total / len(keys)).T.reshape(-1, height, width).contiguous()
