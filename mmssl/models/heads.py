"""What sits on an encoder while it trains and is left behind afterwards."""

from torch import nn


class ProjectionHead(nn.Sequential):
    """Linear layer, BatchNorm, ReLU, linear layer.

    Args:
        dim: Length of an embedding.
        hidden_dim: Length in between.
        out_dim: Length of a projection.
    """

    def __init__(self, dim: int, hidden_dim: int, out_dim: int) -> None:
        super().__init__(
            nn.Linear(dim, hidden_dim, bias=False),
            nn.BatchNorm1d(hidden_dim),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_dim, out_dim),
        )
