"""How the embeddings of a clip's frames become the clip's own."""

from collections.abc import Callable
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

OverTime = Literal["mean", "std", "mean_std", "concat", "deviations"]
"""What is kept of a clip's frames: see `over_time`."""

_REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda frames: frames.mean(1),
    "std": lambda frames: frames.std(1, correction=0),
    "mean_std": lambda frames: torch.cat((frames.mean(1), frames.std(1, correction=0)), dim=1),
    "concat": lambda frames: frames.flatten(1),
    "deviations": lambda frames: (frames - frames.mean(1, keepdim=True)).flatten(1),
}

IN_WORDS = {
    "mean": "the mean of its frames'",
    "std": "the standard deviation over its frames",
    "mean_std": "the mean and the standard deviation over its frames",
    "concat": "those of its frames end to end",
    "deviations": "those of its frames end to end, less their mean",
}
"""How a protocol says it."""

assert set(_REDUCTIONS) == set(IN_WORDS) == set(get_args(OverTime))


def over_time(frames: Float[Tensor, "clips frames dim"], *, keep: OverTime) -> Float[Tensor, "clips kept"]:
    """One embedding a clip from those of its frames.

    Args:
        frames: Embeddings of each frame, in the order of time.
        keep: `mean` says what is seen, whenever it is; `std` what changes, and nothing of what stays; `mean_std` is both, end
            to end; `concat` says what is seen when, for clips that begin alike, such as a spoken word; `deviations` what
            changes when, and nothing of what stays.
    """
    return _REDUCTIONS[keep](frames)
