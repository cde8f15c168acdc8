"""Training on several processes as torchrun starts them, with the gradients of one process that holds the whole batch.

Each rank computes the loss of its own rows of the global batch: a mean over them. Where a loss looks at the rows of all
ranks, the collectives that bring them in must sum over ranks on the way back (`functional.gather`, and the BatchNorm of
`sync_batchnorm`). The mean of the ranks' gradients is then that of the loss over the whole batch: a rank's parameters have
received what every rank's loss says about this rank's rows.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from mmssl.errors import TrainingError


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together.

    Args:
        rank: From 0; rank 0 alone writes files.
        count: Number of processes.
        device: That this one computes on.
    """

    rank: int
    count: int
    device: torch.device


def is_leader() -> bool:
    """Whether this process is rank 0, or the only one; also before the ranks join and after they part."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def joined_ranks(device: str) -> Iterator[Ranks]:
    """Joins the processes that torchrun started, or stands for the only one.

    After an error the ranks stay joined until the process ends, so that the others do not fail before it is reported.

    Args:
        device: `auto` (CUDA where there is one), `cpu` or `cuda`.

    Raises:
        TrainingError: If `cuda` is asked for where there is none, or there are more processes than GPUs.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise TrainingError("device=cuda, but torch finds no CUDA device; set device=auto or cpu")
    kind = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if kind == "cuda":
        chosen = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        if chosen.index >= torch.cuda.device_count():
            raise TrainingError(
                f"{os.environ.get('LOCAL_WORLD_SIZE', count)} processes need a GPU each, but there are "
                f"{torch.cuda.device_count()}; start fewer, or set device=cpu"
            )
        torch.cuda.set_device(chosen)
    else:
        chosen = torch.device("cpu")
    if count == 1 or distributed.is_initialized():
        joined = distributed.is_initialized()
        yield Ranks(distributed.get_rank() if joined else 0, distributed.get_world_size() if joined else 1, chosen)
        return
    distributed.init_process_group("nccl" if kind == "cuda" else "gloo")
    yield Ranks(distributed.get_rank(), count, chosen)
    distributed.destroy_process_group()


def average_over_ranks(parameters: Sequence[nn.Parameter], scalars: Tensor, ranks: Ranks) -> Tensor:
    """Replaces each gradient, and gives scalars back, as the mean over ranks.

    A parameter that has a gradient on some ranks only counts as zero on the others.

    Args:
        parameters: The same on every rank, in the same order.
        scalars: float64 `[any]`, as many on every rank.
        ranks: This process among the others.
    """
    if ranks.count == 1:
        return scalars
    present = scalars.new_tensor([parameter.grad is not None for parameter in parameters])
    message = torch.cat([scalars, present])
    distributed.all_reduce(message)
    used = [parameter for parameter, users in zip(parameters, message[len(scalars) :].tolist(), strict=True) if users]
    for dtype in sorted({parameter.dtype for parameter in used}, key=str):
        same = [parameter for parameter in used if parameter.dtype == dtype]
        gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in same]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= ranks.count
        for parameter, part in zip(same, torch.split(flat, [one.numel() for one in same]), strict=True):
            parameter.grad = part.view_as(parameter)
    return message[: len(scalars)] / ranks.count


def broadcast_state(module: nn.Module, ranks: Ranks) -> None:
    """Gives every rank the parameters and buffers of rank 0."""
    if ranks.count > 1:
        for value in module.state_dict().values():
            distributed.broadcast(value, src=0)
