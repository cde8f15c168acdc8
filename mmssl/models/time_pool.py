"""How the embeddings of a clip's frames become the clip's own, where captions say what it should be."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from mmssl.config import Choice
from mmssl.functional.positions import sincos_moments
from mmssl.models.transformer import TransformerBlock

CLIP_LENGTH = 64.0
"""A clip's length in units of its moments' positions, whatever its number of frames."""


class MeanOverTime(nn.Module):
    """The mean of the normalized embeddings: what is seen, whenever it is.

    Args:
        dim: Of the embeddings.
    """

    clip_is = "the mean of its frames', each normalized"

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, frames: Float[Tensor, "clips frames dim"]) -> Float[Tensor, "clips dim"]:
        """An embedding a clip; not normalized."""
        return normalize(frames, dim=2).mean(1)


class TransformerOverTime(nn.Module):
    """The mean of the normalized embeddings, and what a transformer adds that sees which came when; nothing at the start.

    A frame's position is its share of the clip, so that clips of any number of frames can be read. A single frame is an image,
    and stays what it is.

    Args:
        dim: Of the embeddings.
        width: Length of the transformer's tokens; a multiple of 4.
        depth: Number of blocks.
        num_heads: Of each block; divides width.

    Source:
        Ni et al. 2022, arXiv:2208.02816 (X-CLIP), section 3.2; to start as the mean: Zhang, Dauphin and Ma 2019,
        arXiv:1901.09321.
    """

    clip_is = "what a transformer over time makes of its frames'"

    def __init__(self, dim: int, *, width: int = 256, depth: int = 2, num_heads: int = 4) -> None:
        super().__init__()
        self.width = width
        self.enter = nn.Linear(dim, width)
        self.blocks = nn.Sequential(*(TransformerBlock(width, num_heads=num_heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.out = nn.Linear(width, dim, bias=False)
        nn.init.zeros_(self.out.weight)

    def forward(self, frames: Float[Tensor, "clips frames dim"]) -> Float[Tensor, "clips dim"]:
        """An embedding a clip; not normalized."""
        unit = normalize(frames, dim=2)
        count = frames.shape[1]
        if count == 1:
            return unit[:, 0]
        moments = (torch.arange(count) + 0.5) * (CLIP_LENGTH / count)
        tokens = self.enter(unit * frames.shape[2] ** 0.5) + sincos_moments(moments, self.width).to(unit)
        added: Tensor = self.out(self.norm(self.blocks(tokens)).mean(1))
        return unit.mean(1) + added


POOL_CHOICE = Choice({"mean": MeanOverTime, "transformer": TransformerOverTime}, "pool", provided=("dim",))
