"""Copying values from reference frames to a target frame by similarity of features, for training.

This is the idea that `functional.affinity.propagate` uses on new videos: each target cell looks at the cells of the
reference frames and takes a weighted mean of what they carry, colors while an encoder trains, masks or keypoints
afterwards. `propagate` looks at a window and keeps the best few; this form looks at every cell, works on a batch, and
has a gradient, so that the features learn where to look.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def attend(
    query: Float[Tensor, "batch dim h w"],
    keys: Float[Tensor, "batch context dim h w"],
    values: Float[Tensor, "batch context channels h w"],
    *,
    temperature: float,
) -> Float[Tensor, "batch channels h w"]:
    """Copies values of all context cells to each cell of the query, weighted by a softmax over dot products.

    Computed in float32 under autocast, too.

    Args:
        query: Features of the target frame; normalise them beforehand where cosine similarity is wanted.
        keys: Features of the reference frames.
        values: What each reference cell carries.
        temperature: Divides the dot products; > 0.

    Raises:
        ValueError: If temperature is not positive.

    Source:
        Vondrick et al. 2018, arXiv:1806.09594, eq. 1 and 2.
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    batch, context, channels, height, width = values.shape
    cells = (batch, context * height * width)
    with torch.autocast(query.device.type, enabled=False):
        copied = functional.scaled_dot_product_attention(
            query.float().flatten(2).transpose(1, 2),
            keys.float().movedim(2, -1).reshape(*cells, -1),
            values.float().movedim(2, -1).reshape(*cells, -1),
            scale=1 / temperature,
        )
    return copied.transpose(1, 2).reshape(batch, channels, height, width).contiguous()
