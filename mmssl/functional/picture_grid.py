"""Pictures arranged for looking at them."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

_WIDTHS_A_GAP = 32


def picture_grid(rows: Sequence[Float[Tensor, "batch 3 height width"]]) -> Float[Tensor, "3 all_height all_width"]:
    """Batches of pictures as the rows of one picture, with white gaps.

    Args:
        rows: RGB in 0..1; the first stands at the top.
    """
    batch = torch.stack(tuple(rows))
    gap = -(-batch.shape[-1] // _WIDTHS_A_GAP)
    framed = functional.pad(batch, (0, gap, 0, gap), value=1.0)
    rows_of_framed = torch.cat(framed.unbind(1), dim=3)
    return torch.cat(rows_of_framed.unbind(0), dim=1)[:, :-gap, :-gap]
