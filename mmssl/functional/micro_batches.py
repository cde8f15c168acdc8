"""A function over a batch in parts, whose inner results are computed again on the way back: memory is that of one part."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from jaxtyping import Shaped
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def in_micro_batches(
    function: Callable[[Tensor], Tensor], rows: Shaped[Tensor, "batch ..."], *, size: int | None, module: nn.Module
) -> Shaped[Tensor, "batch ..."]:
    """What a function gives for a batch, a part at a time, with the same gradient as at once.

    Losses that compare the items of a batch can so have a batch whose networks would not fit into memory. A BatchNorm sees a
    part at a time; its running statistics move once for each part.

    Args:
        function: Acts on each row alone.
        rows: The batch.
        size: Rows of a part; None for the whole batch at once, with nothing computed again.
        module: What the function uses.

    Source:
        Gao et al. 2021, arXiv:2101.06983 (GradCache).
    """
    if size is None or size >= len(rows):
        return function(rows)

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), still_batchnorm(module)

    parts = [
        checkpoint(function, part, use_reentrant=False, context_fn=contexts)
        if torch.is_grad_enabled()
        else function(part)
        for part in torch.split(rows, size)
    ]
    return torch.cat(parts)


@contextmanager
def still_batchnorm(module: nn.Module) -> Iterator[None]:
    """Keeps the running statistics of a module's BatchNorms where they are, without changing what they compute."""
    moving = [
        (part, part.momentum, part.num_batches_tracked)
        for part in module.modules()
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.training
    ]
    counts = [None if count is None else count.clone() for _, _, count in moving]
    for part, _, _ in moving:
        part.momentum = 0.0
    try:
        yield
    finally:
        for (part, momentum, count), before in zip(moving, counts, strict=True):
            part.momentum = momentum
            if count is not None and before is not None:
                count.copy_(before)
