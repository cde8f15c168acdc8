"""A network over a grid of codes that sees, at each, the rows above and its own: an autoregressive network from top to bottom."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

KERNEL = 3


class RowContext(nn.Module):
    """Residual convolutions over a cell's row and the two above; three of them see seven rows.

    Args:
        code_dim: Channels of a code.
        context_dim: Channels of a context.
        num_layers: Convolutions, each of which sees two rows further up and a column further to both sides.

    Source:
        In the place of the PixelCNN-style network of van den Oord et al. 2018, arXiv:1807.03748, section 3.3.
    """

    def __init__(self, code_dim: int, context_dim: int, *, num_layers: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(code_dim, context_dim, 1)
        self.layers = nn.ModuleList(nn.Conv2d(context_dim, context_dim, KERNEL) for _ in range(num_layers))
        self.mixed = nn.ModuleList(nn.Conv2d(context_dim, context_dim, 1) for _ in range(num_layers))

    def forward(
        self, codes: Float[Tensor, "batch code_dim rows columns"]
    ) -> Float[Tensor, "batch context_dim rows columns"]:
        """The context of each cell; what lies below it changes nothing."""
        contexts: Tensor = self.first(codes)
        for layer, mix in zip(self.layers, self.mixed, strict=True):
            seen = functional.pad(functional.relu(contexts), (KERNEL // 2, KERNEL // 2, KERNEL - 1, 0))
            contexts = contexts + mix(functional.relu(layer(seen)))
        return contexts
