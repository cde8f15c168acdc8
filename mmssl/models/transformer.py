"""A block of a transformer."""

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional


class TransformerBlock(nn.Module):
    """Self-attention, then two layers on each token, both beside a shortcut and after a LayerNorm.

    Args:
        dim: Length of a token.
        num_heads: Of the attention; divides dim.
        expansion: Length between the two layers, in dims.

    Raises:
        ValueError: If num_heads does not divide dim.
    """

    def __init__(self, dim: int, *, num_heads: int, expansion: int = 4) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"dim {dim} cannot be shared evenly by {num_heads} heads")
        self.num_heads = num_heads
        self.attention_norm = nn.LayerNorm(dim, eps=1e-6)
        self.query_key_value = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.layers = nn.Sequential(
            nn.LayerNorm(dim, eps=1e-6), nn.Linear(dim, expansion * dim), nn.GELU(), nn.Linear(expansion * dim, dim)
        )
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(
        self,
        tokens: Float[Tensor, "batch tokens dim"],
        seen: Bool[Tensor, "batch tokens"] | None = None,
        *,
        causal: bool = False,
    ) -> Float[Tensor, "batch tokens dim"]:
        """The tokens, each changed by what it attends to.

        Args:
            tokens: Of each item.
            seen: Which of them are attended to; all where not given.
            causal: Whether a token attends to itself and to those before alone, in place of `seen`.
        """
        mixed = self.query_key_value(self.attention_norm(tokens))
        query, key, value = mixed.reshape(*mixed.shape[:2], 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        attended = (
            functional.scaled_dot_product_attention(
                query, key, value, attn_mask=None if seen is None else seen[:, None, None], is_causal=causal
            )
            .transpose(1, 2)
            .flatten(2)
        )
        tokens = tokens + self.out(attended)
        changed: Tensor = tokens + self.layers(tokens)
        return changed
