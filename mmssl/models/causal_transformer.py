"""A transformer over moments, each of which attends to itself and to those before."""

from jaxtyping import Float
from torch import Tensor, nn

from mmssl.functional.positions import sincos_positions
from mmssl.models.transformer import TransformerBlock


class CausalTransformer(nn.Module):
    """Blocks over a sequence of any length, with sines and cosines for places.

    Args:
        dim_in: Length of what comes in at each moment.
        dim: Of the blocks and of what goes out; a multiple of 4.
        num_layers: Blocks.
        num_heads: Of each block's attention; divides dim.
    """

    def __init__(self, dim_in: int, dim: int, *, num_layers: int, num_heads: int = 4) -> None:
        super().__init__()
        self.dim = dim
        self.into = nn.Linear(dim_in, dim)
        self.blocks = nn.ModuleList(TransformerBlock(dim, num_heads=num_heads) for _ in range(num_layers))
        self.norm = nn.LayerNorm(dim)

    def forward(self, moments: Float[Tensor, "batch times dim_in"]) -> Float[Tensor, "batch times dim"]:
        """What each moment knows of itself and of those before."""
        tokens = self.into(moments) + sincos_positions(1, moments.shape[1], self.dim).to(moments)
        for block in self.blocks:
            tokens = block(tokens, causal=True)
        known: Tensor = self.norm(tokens)
        return known
