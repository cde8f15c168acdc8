"""Rows of all processes of a distributed run, with the gradient that belongs to them."""

import torch
from jaxtyping import Shaped
from torch import Tensor, distributed


def world_size() -> int:
    """Number of processes that train together; 1 outside a distributed run."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def rank_offset(rows: int) -> int:
    """First row of this process in what `gather_with_gradient` returns, each process having `rows`."""
    return rows * distributed.get_rank() if world_size() > 1 else 0


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(context: "torch.autograd.function.FunctionCtx", rows: Tensor) -> Tensor:
        gathered = [torch.empty_like(rows) for _ in range(world_size())]
        distributed.all_gather(gathered, rows)
        return torch.cat(gathered)

    @staticmethod
    def backward(context: "torch.autograd.function.FunctionCtx", *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        distributed.all_reduce(total)
        rows = len(total) // world_size()
        return total[rank_offset(rows) :][:rows]


def gather_with_gradient(rows: Shaped[Tensor, "rows dim"]) -> Shaped[Tensor, "all dim"]:
    """The rows of all processes, in order of rank; every process must bring the same number.

    The gradient is the sum over all processes' losses. With gradients averaged over processes afterwards, as distributed
    data parallel training does, the result is the gradient of the mean of the losses.
    """
    if world_size() == 1:
        return rows
    gathered: Tensor = _Gather.apply(rows.contiguous())
    return gathered
