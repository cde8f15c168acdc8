"""Heads of linear layers, as deep as a method asks for."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn


class MLP(nn.Sequential):
    """Linear layers with ReLU between them.

    Args:
        dims: Length of the input and of each layer's output; at least two.
        batchnorm: Whether BatchNorm stands before each ReLU; the linear layers before it have no bias.
        last_batchnorm: Whether the output goes through BatchNorm too, one without gain and bias.
        last_bias: Whether the last linear layer has a bias, where no BatchNorm follows.
    """

    def __init__(
        self, dims: Sequence[int], *, batchnorm: bool = True, last_batchnorm: bool = False, last_bias: bool = True
    ) -> None:
        layers: list[nn.Module] = []
        for dim, hidden in pairwise(dims[:-1]):
            layers.append(nn.Linear(dim, hidden, bias=not batchnorm))
            layers += [nn.BatchNorm1d(hidden)] if batchnorm else []
            layers.append(nn.ReLU(inplace=True))
        layers.append(nn.Linear(dims[-2], dims[-1], bias=last_bias and not last_batchnorm))
        layers += [nn.BatchNorm1d(dims[-1], affine=False)] if last_batchnorm else []
        super().__init__(*layers)
