"""BatchNorm over the rows of all ranks, on CPU and CUDA alike, so that ranks compute what one process would."""

from typing import Any

import torch
from torch import Tensor, distributed, nn

BATCHNORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class _SumOverRanks(torch.autograd.Function):
    """The sum over ranks, whose gradient is the sum over ranks too."""

    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


class SynchronizedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """BatchNorm whose mean and variance are those of all ranks' rows; of one process's rows outside a distributed run.

    Every rank must bring as many rows; parameters, buffers and their names are those of `nn.BatchNorm2d`.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalizes `[rows, channels, ...]`."""
        if not (self.training or self.running_mean is None) or distributed.get_world_size() == 1:
            alone: Tensor = super().forward(x)
            return alone
        axes = [axis for axis in range(x.ndim) if axis != 1]
        wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        count = x.numel() // x.shape[1] * distributed.get_world_size()
        mean = _SumOverRanks.apply(wide.sum(axes)) / count
        shape = [1, -1] + [1] * (x.ndim - 2)
        centered = wide - mean.view(shape)
        variance = _SumOverRanks.apply(centered.square().sum(axes)) / count
        self._note(mean.detach(), variance.detach(), count)
        normalized = centered * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            normalized = normalized * self.weight.view(shape) + self.bias.view(shape)
        result: Tensor = normalized.to(x.dtype)
        return result

    def _note(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Moves the running statistics as `nn.BatchNorm2d` does."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance * (count / (count - 1)), share)

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002
        if input.ndim < 2:
            raise ValueError(f"expected [rows, channels, ...], got {tuple(input.shape)}")


def synchronized_batchnorm(module: nn.Module) -> None:
    """Replaces each `BatchNorm1d`, `2d` and `3d` inside a module, keeping its parameters and buffers.

    Other classes, those derived from these too, stay as they are.
    """
    for name, child in module.named_children():
        if type(child) in BATCHNORMS:
            setattr(module, name, _synchronized(child))
        else:
            synchronized_batchnorm(child)


def _synchronized(old: nn.Module) -> SynchronizedBatchNorm:
    assert isinstance(old, nn.modules.batchnorm._BatchNorm)
    new = SynchronizedBatchNorm(old.num_features, old.eps, old.momentum, old.affine, old.track_running_stats)
    new.weight, new.bias = old.weight, old.bias
    new.running_mean, new.running_var = old.running_mean, old.running_var
    new.num_batches_tracked = old.num_batches_tracked
    return new.train(old.training)
