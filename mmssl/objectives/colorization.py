"""Colorization: the colors of a picture from its lightness."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from mmssl.errors import ConfigError
from mmssl.functional.color import lab_to_rgb, rgb_to_lab
from mmssl.functional.color_bins import NUM_BINS, ab_bins, annealed_mean, rebalancing_weights, soft_bins
from mmssl.functional.picture_grid import picture_grid
from mmssl.models.encoder import Encoder
from mmssl.models.pixel_decoder import PixelDecoder
from mmssl.objectives.objective import Batch, Objective, Output


class Colorization(Objective):
    """Classifies each pixel's color into 313 bins; rare colors count more, by how rare they are in the first batch.

    Args:
        encoder: Its input must be `lightness`.
        uniform: See `rebalancing_weights`.
        decoder_width: Smallest number of channels in the decoder, which predicts at a quarter of the resolution.

    Raises:
        ConfigError: If the encoder sees colors.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "crop"}
    source = "Zhang, Isola and Efros 2016, arXiv:1603.08511"
    units: ClassVar[Mapping[str, str]] = {"loss": "nats, weighted by rarity", "accuracy": "share of right answers"}

    bins: Tensor
    weights: Tensor

    def __init__(self, encoder: Encoder, *, uniform: float = 0.5, decoder_width: int = 64) -> None:
        super().__init__(encoder)
        if encoder.input != "lightness":
            raise ConfigError(
                f"colorization needs an encoder that sees no colors, this one's input is {encoder.input!r}; "
                "set `input: lightness` on the encoder"
            )
        self.uniform = uniform
        factor = max(1, encoder.stride // 4)
        self.decoder = PixelDecoder(encoder.feature_dim, NUM_BINS, factor=factor, width=decoder_width)
        self.register_buffer("bins", ab_bins())
        self.register_buffer("weights", torch.ones(NUM_BINS))

    def prepare(self, batch: Batch) -> None:
        """Sets the weights of the bins by how frequent they are in a batch."""
        shares = soft_bins(_colors(batch["image"]), self.bins).mean(0)
        self.weights.copy_(rebalancing_weights(shares, self.bins, uniform=self.uniform))

    def forward(self, batch: Batch) -> Output:
        """The weighted cross-entropy of the colors of `image`; also `accuracy`, the share of pixels with the right bin."""
        target = soft_bins(_colors(batch["image"]), self.bins)
        logits = self._logits(batch["image"]).movedim(1, -1).flatten(0, 2)
        surprise = -(target * functional.log_softmax(logits, dim=1)).sum(1)
        likeliest = target.argmax(1)
        accuracy = (logits.detach().argmax(1) == likeliest).float().mean()
        return {"loss": (self.weights[likeliest] * surprise).mean(), "accuracy": accuracy}

    def _pictures(self, batch: Batch) -> dict[str, Float[Tensor, "3 height width"]]:
        """Pictures in grey, in predicted colors, and in their own."""
        images = batch["image"][:8]
        ab = annealed_mean(self._logits(images), self.bins)
        ab = functional.interpolate(ab, size=images.shape[-2:], mode="bilinear", align_corners=False)
        lightness = rgb_to_lab(images)[:, :1]
        rows = (
            lab_to_rgb(torch.cat((lightness, torch.zeros_like(ab)), dim=1)),
            lab_to_rgb(torch.cat((lightness, ab), dim=1)),
            images,
        )
        return {"from the top: grey, predicted colors, true colors": picture_grid(rows)}

    def _logits(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch bins h w"]:
        logits: Tensor = self.decoder(self.encoder.features(images), size=_reduced_size(images))
        return logits.float()


def _reduced_size(images: Float[Tensor, "batch 3 height width"]) -> tuple[int, int]:
    return images.shape[-2] // 4, images.shape[-1] // 4


def _colors(images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "pixels 2"]:
    """The mean ab of each 4 x 4 pixels."""
    ab = functional.interpolate(rgb_to_lab(images)[:, 1:], size=_reduced_size(images), mode="area")
    return ab.movedim(1, -1).flatten(0, 2)
