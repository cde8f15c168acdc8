"""Masked autoencoder: most patches of an image are hidden, and painted again from the few that are left."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mmssl.errors import ConfigError
from mmssl.functional.picture_grid import picture_grid
from mmssl.functional.positions import sincos_positions
from mmssl.models.encoder import Encoder
from mmssl.models.transformer import TransformerBlock
from mmssl.models.vit import VisionTransformer
from mmssl.objectives.objective import Batch, Objective, Output


class MAE(Objective):
    """The encoder sees visible patches alone; a small decoder predicts the pixels of the hidden ones.

    Args:
        encoder: A `vit`.
        decoder_dim: Length of the decoder's tokens; a multiple of 4.
        decoder_depth: Its number of blocks.
        decoder_heads: Of its attention.
        normalize_patches: Whether each patch's own mean and deviation are taken off before it is predicted.

    Raises:
        ConfigError: If the encoder cannot leave patches out.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "mae"}
    source = "He et al. 2021, arXiv:2111.06377"
    units: ClassVar[Mapping[str, str]] = {"loss": "mean squared error of normalized pixels"}

    encoder: VisionTransformer

    def __init__(
        self,
        encoder: Encoder,
        *,
        decoder_dim: int = 512,
        decoder_depth: int = 8,
        decoder_heads: int = 16,
        normalize_patches: bool = True,
    ) -> None:
        super().__init__(encoder)
        if not isinstance(encoder, VisionTransformer):
            raise ConfigError(
                f"mae needs an encoder that can leave patches out, not {type(encoder).__name__}; "
                "set `encoder: {name: vit, ...}`"
            )
        self.decoder_dim = decoder_dim
        self.normalize_patches = normalize_patches
        self.embed = nn.Linear(encoder.dim, decoder_dim)
        self.hidden_token = nn.Parameter(torch.empty(1, 1, decoder_dim))
        nn.init.normal_(self.hidden_token, std=0.02)
        blocks = (TransformerBlock(decoder_dim, num_heads=decoder_heads) for _ in range(decoder_depth))
        self.decoder = nn.Sequential(*blocks, nn.LayerNorm(decoder_dim, eps=1e-6))
        self.paint = nn.Linear(decoder_dim, encoder.stride**2 * encoder.image_input.channels)

    def forward(self, batch: Batch) -> Output:
        """The mean squared error over the patches of `image` that `mask`, `[batch, h, w]`, hides."""
        images, hidden = batch["image"], batch["mask"].flatten(1)
        target = self._patches(self.encoder.image_input(images))
        if self.normalize_patches:
            mean, std = _statistics(target)
            target = (target - mean) / std
        error = (self._painted(images, batch["mask"]).float() - target).square().mean(-1)
        return {"loss": error[hidden].mean()}

    def _pictures(self, batch: Batch) -> dict[str, Float[Tensor, "3 height width"]]:
        """What the encoder sees, what the decoder makes of it with hidden patches' own mean and deviation, and the truth."""
        images, mask = batch["image"][:8], batch["mask"][:8]
        if self.encoder.input != "rgb":
            return {}
        target = self._patches(self.encoder.image_input(images))
        painted = self._painted(images, mask).float()
        if self.normalize_patches:
            mean, std = _statistics(target)
            painted = painted * std + mean
        whole = torch.where(mask.flatten(1)[:, :, None], painted, target)
        rows = [
            self._image(torch.where(mask.flatten(1)[:, :, None], 0.0, target), mask),
            self._image(whole, mask),
            images,
        ]
        aided = ", each patch about its true mean and by its true deviation" if self.normalize_patches else ""
        return {f"from the top: visible patches, painted{aided}, truth": picture_grid(rows)}

    def _painted(
        self, images: Float[Tensor, "batch 3 height width"], mask: Bool[Tensor, "batch h w"]
    ) -> Float[Tensor, "batch patches pixels"]:
        """The decoder's prediction of every patch.

        Raises:
            ConfigError: If the mask's patches are not the encoder's.
        """
        grid = tuple(side // self.encoder.stride for side in images.shape[-2:])
        if tuple(mask.shape[1:]) != grid:
            raise ConfigError(
                f"the view hides patches of a grid of {tuple(mask.shape[1:])}, the encoder has {grid}; "
                f"set the view's patch to the encoder's, {self.encoder.stride}"
            )
        kept = (~mask.flatten(1)).nonzero()[:, 1].reshape(len(images), -1)
        tokens = self.embed(self.encoder.tokens(images, kept))
        places = kept[:, :, None].expand(-1, -1, self.decoder_dim)
        everywhere = self.hidden_token.to(tokens.dtype).expand(len(images), mask[0].numel(), -1)
        patches = everywhere.scatter(1, places, tokens[:, 1:]) + sincos_positions(
            grid[0], grid[1], self.decoder_dim
        ).to(tokens)
        painted: Tensor = self.paint(self.decoder(torch.cat((tokens[:, :1], patches), dim=1)))
        return painted[:, 1:]

    def _patches(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch patches pixels"]:
        patches = nn.functional.unfold(images, self.encoder.stride, stride=self.encoder.stride)
        return patches.transpose(1, 2)

    def _image(
        self, patches: Float[Tensor, "batch patches pixels"], mask: Bool[Tensor, "batch h w"]
    ) -> Float[Tensor, "batch 3 height width"]:
        stride = self.encoder.stride
        size = (mask.shape[1] * stride, mask.shape[2] * stride)
        normalized = nn.functional.fold(patches.transpose(1, 2), size, stride, stride=stride)
        return (normalized * self.encoder.image_input.std + self.encoder.image_input.mean).clamp(0, 1)


def _statistics(patches: Float[Tensor, "batch patches pixels"]) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each patch."""
    return patches.mean(-1, keepdim=True), (patches.var(-1, keepdim=True) + 1e-6).sqrt()
