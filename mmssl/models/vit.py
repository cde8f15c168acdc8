"""A vision transformer that can leave patches out."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmssl.functional.positions import sincos_positions
from mmssl.models.encoder import Encoder
from mmssl.models.image_input import ImageInput, InputColors, fill_cells
from mmssl.models.transformer import TransformerBlock


class VisionTransformer(Encoder):
    """Patches as tokens with fixed positions, for images of any size; the embedding is the class token.

    Args:
        input: What it sees of an image.
        patch: Side of a patch in pixels, which is also the stride.
        dim: Length of a token; a multiple of 4.
        depth: Number of blocks.
        num_heads: Of each block; divides dim.

    Source:
        Dosovitskiy et al. 2021, arXiv:2010.11929, with the positions of He et al. 2021, arXiv:2111.06377.
    """

    def __init__(
        self,
        *,
        input: InputColors = "rgb",  # noqa: A002
        patch: int = 16,
        dim: int = 192,
        depth: int = 12,
        num_heads: int = 3,
    ) -> None:
        super().__init__()
        self.input = input
        self.stride = patch
        self.dim = self.feature_dim = dim
        self.image_input = ImageInput(input)
        self.patch_embed = nn.Conv2d(self.image_input.channels, dim, patch, stride=patch)
        nn.init.xavier_uniform_(self.patch_embed.weight.flatten(1))
        self.class_token = nn.Parameter(torch.empty(1, 1, dim))
        nn.init.normal_(self.class_token, std=0.02)
        self.blocks = nn.Sequential(*(TransformerBlock(dim, num_heads=num_heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim, eps=1e-6)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch dim"]:
        """The class token."""
        return self.tokens(images)[:, 0]

    def features(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch feature_dim h w"]:
        """Feature maps; see `Encoder`."""
        height, width = (-(-side // self.stride) for side in images.shape[-2:])
        return self.tokens(images)[:, 1:].transpose(1, 2).reshape(len(images), -1, height, width)

    def tokens(
        self, images: Float[Tensor, "batch 3 height width"], kept: Int[Tensor, "batch kept"] | None = None
    ) -> Float[Tensor, "batch tokens dim"]:
        """The class token and those of the patches.

        Args:
            images: RGB in 0..1.
            kept: Numbers of the patches, row by row, that the transformer is to see; all where not given.
        """
        cells = self.patch_embed(self.image_input(fill_cells(images, self.stride)))
        patches = cells.flatten(2).transpose(1, 2)
        patches = patches + sincos_positions(cells.shape[-2], cells.shape[-1], self.dim).to(patches)
        if kept is not None:
            patches = patches.gather(1, kept[:, :, None].expand(-1, -1, self.dim))
        seen: Tensor = self.norm(self.blocks(torch.cat((self.class_token.expand(len(images), -1, -1), patches), dim=1)))
        return seen
