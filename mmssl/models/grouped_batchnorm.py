"""BatchNorm over parts of a batch, so that a network cannot tell partners apart by the statistics they share."""

import math

from torch import Tensor, nn
from torch.nn import functional

BATCHNORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class GroupedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """BatchNorm whose mean and variance in training are those of a group of rows, as if each group had a device of its own.

    Where one network has groups of neighbouring rows and its partner interleaved ones, two rows of one group there are
    in different groups here: what shuffling the batch between devices is for, without random numbers.

    Args:
        num_features: Channels.
        groups: Parts of equal size; the largest common divisor with the number of rows where that is smaller.
        interleaved: Whether row `i` is in group `i % groups`, and not in groups of neighbours.

    Source:
        He et al. 2020, arXiv:1911.05722, section 3.3 (shuffling BN).
    """

    def __init__(self, num_features: int, *, groups: int, interleaved: bool) -> None:
        super().__init__(num_features)
        self.groups = groups
        self.interleaved = interleaved

    def forward(self, x: Tensor) -> Tensor:
        """Normalizes `[rows, channels, ...]`."""
        groups = math.gcd(len(x), self.groups)
        if not self.training or groups == 1:
            alone: Tensor = super().forward(x)
            return alone
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        shape = (-1, groups) if self.interleaved else (groups, -1)
        apart = x.reshape(*shape, *x.shape[1:])
        apart = apart if self.interleaved else apart.transpose(0, 1)
        self.num_batches_tracked.add_(1)
        means, variances = self.running_mean.repeat(groups), self.running_var.repeat(groups)
        normalized = functional.batch_norm(
            apart.flatten(1, 2),
            means,
            variances,
            self.weight.repeat(groups),
            self.bias.repeat(groups),
            training=True,
            momentum=1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum,
            eps=self.eps,
        )
        self.running_mean.copy_(means.view(groups, -1).mean(0))
        self.running_var.copy_(variances.view(groups, -1).mean(0))
        together = normalized.view_as(apart)
        return together.flatten(0, 1) if self.interleaved else together.transpose(0, 1).flatten(0, 1)

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002
        if input.ndim < 2:
            raise ValueError(f"expected [rows, channels, ...], got {tuple(input.shape)}")


def group_batchnorm(module: nn.Module, groups: int, *, interleaved: bool) -> None:
    """Replaces each `BatchNorm1d`, `2d` and `3d` inside a module, keeping its parameters and buffers.

    Args:
        module: Changed in place.
        groups: See `GroupedBatchNorm`; 1 changes nothing.
        interleaved: See `GroupedBatchNorm`.

    Raises:
        ValueError: If groups is not positive.
    """
    if groups < 1:
        raise ValueError(f"BatchNorm needs at least 1 group, got {groups}")
    if groups == 1:
        return
    for name, child in module.named_children():
        if type(child) in BATCHNORMS:
            setattr(module, name, _grouped(child, groups, interleaved))
        else:
            group_batchnorm(child, groups, interleaved=interleaved)


def _grouped(old: nn.Module, groups: int, interleaved: bool) -> GroupedBatchNorm:
    assert isinstance(old, nn.modules.batchnorm._BatchNorm)
    new = GroupedBatchNorm(old.num_features, groups=groups, interleaved=interleaved)
    new.eps, new.momentum = old.eps, old.momentum
    new.weight, new.bias = old.weight, old.bias
    new.running_mean, new.running_var = old.running_mean, old.running_var
    new.num_batches_tracked = old.num_batches_tracked
    return new.train(old.training)
