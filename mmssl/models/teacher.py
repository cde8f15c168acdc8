"""A teacher: a copy of a network that follows it slowly."""

import copy

import torch
from torch import Tensor, nn

from mmssl.functional.distillation import ema_update


class Teacher(nn.Module):
    """Starts as a copy of a network; its parameters then follow the network's as an exponential moving average.

    No gradient trains it. Its buffers, such as BatchNorm's statistics, come from its own forward passes.

    Args:
        network: What to copy, in the state that both are to start from.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).requires_grad_(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """What the copy makes of images, without a gradient."""
        answer: Tensor = self.network(images)
        return answer

    def follow(self, network: nn.Module, *, momentum: float) -> None:
        """Moves the copy towards the network; see `ema_update`."""
        ema_update(self.network.parameters(), network.parameters(), momentum=momentum)
