"""Text towers by name, and one of our own: a small transformer."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmssl.config import Choice
from mmssl.models.bert import Bert
from mmssl.models.text_tower import TextTower
from mmssl.models.transformer import TransformerBlock

VOCABULARY = 49408
"""Tokens of CLIP's byte pair encoding, whose table comes with open_clip."""

END = VOCABULARY - 1


class TextTransformer(TextTower):
    """A small transformer over CLIP's byte pairs, in lower case; the embedding is the mean over the tokens.

    Args:
        dim: Length of a token.
        depth: Number of blocks.
        num_heads: Of each block; divides dim.
        context: Most tokens of a sentence, its begin and end among them.

    Source:
        Vaswani et al. 2017, arXiv:1706.03762; byte pairs: Sennrich et al. 2016, arXiv:1508.07909.
    """

    def __init__(self, *, dim: int = 256, depth: int = 4, num_heads: int = 4, context: int = 32) -> None:
        super().__init__()
        self.dim = dim
        self.context = context
        self.words = nn.Embedding(VOCABULARY, dim)
        self.positions = nn.Parameter(torch.empty(context, dim))
        self.blocks = nn.ModuleList(TransformerBlock(dim, num_heads=num_heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        nn.init.normal_(self.words.weight, std=0.02)
        nn.init.normal_(self.positions, std=0.01)

    def tokenize(self, texts: Sequence[str]) -> Int[Tensor, "texts length"]:
        """See `TextTower`."""
        tokens: Tensor = _byte_pairs()(list(texts), context_length=self.context)
        return tokens

    def forward(self, tokens: Int[Tensor, "texts length"]) -> Float[Tensor, "texts dim"]:
        """See `TextTower`."""
        ends = (tokens == END).int().argmax(1)
        tokens = tokens[:, : int(ends.max()) + 1]
        seen = torch.arange(tokens.shape[1], device=tokens.device) <= ends[:, None]
        states = self.words(tokens) + self.positions[: tokens.shape[1]]
        for block in self.blocks:
            states = block(states, seen)
        kept: Tensor = self.norm(states) * seen[:, :, None]
        return kept.sum(1) / seen.sum(1, keepdim=True)


@cache
def _byte_pairs() -> Any:
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer()


TEXT_TOWERS: dict[str, type[TextTower]] = {"bert": Bert, "transformer": TextTransformer}
"""Text towers by name in a recipe."""

TEXT_CHOICE = Choice(TEXT_TOWERS, "text tower")
