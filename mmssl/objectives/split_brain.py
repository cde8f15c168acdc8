"""Split-brain autoencoder: one half of the encoder predicts colors from lightness, the other lightness from colors."""

from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mmssl.errors import ConfigError
from mmssl.functional.color import lab_to_rgb, quantize_ab, rgb_to_lab
from mmssl.functional.color_bins import NUM_BINS, ab_bins, annealed_mean
from mmssl.functional.picture_grid import picture_grid
from mmssl.models.encoder import Encoder
from mmssl.models.split_brain import SplitBrain
from mmssl.objectives.objective import Batch, Objective, Output


class SplitBrainAutoencoder(Objective):
    """The sum of both halves' cross-entropies: 313 bins of color, and as many levels of lightness as are asked for.

    Args:
        encoder: A `split_brain`.
        lightness_levels: Equal steps of L.

    Raises:
        ConfigError: If the encoder has no two halves.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "crop"}
    source = "Zhang, Isola and Efros 2017, arXiv:1611.09842"

    encoder: SplitBrain
    bins: Tensor

    def __init__(self, encoder: Encoder, *, lightness_levels: int = 100) -> None:
        super().__init__(encoder)
        if not isinstance(encoder, SplitBrain):
            raise ConfigError(
                f"split_brain needs an encoder of two halves, not {type(encoder).__name__}; "
                "set `encoder: {name: split_brain, half: {name: small_resnet}}`"
            )
        self.lightness_levels = lightness_levels
        self.to_colors = nn.Conv2d(encoder.lightness.feature_dim, NUM_BINS, 1)
        self.to_lightness = nn.Conv2d(encoder.colors.feature_dim, lightness_levels, 1)
        self.register_buffer("bins", ab_bins())

    def forward(self, batch: Batch) -> Output:
        """The loss of `image`, cell by cell of the feature maps; also its two parts."""
        images = batch["image"]
        colors, lightness = self._guesses(images)
        lab = functional.interpolate(rgb_to_lab(images), size=colors.shape[-2:], mode="area")
        level = (lab[:, 0] / 100 * self.lightness_levels).long().clamp(0, self.lightness_levels - 1)
        color_loss = functional.cross_entropy(colors, quantize_ab(lab[:, 1:], self.bins))
        lightness_loss = functional.cross_entropy(lightness, level)
        return {
            "loss": color_loss + lightness_loss,
            "color_loss": color_loss.detach(),
            "lightness_loss": lightness_loss.detach(),
        }

    def _pictures(self, batch: Batch) -> dict[str, Float[Tensor, "3 height width"]]:
        """Pictures with the colors that their lightness tells, with the lightness that their colors tell, and as they are."""
        images = batch["image"][:8]
        colors, lightness = self._guesses(images)
        levels = (torch.arange(self.lightness_levels, device=images.device) + 0.5) * 100 / self.lightness_levels
        found = torch.einsum("blhw,l->bhw", lightness.softmax(1), levels)[:, None]
        ab, lit = (
            functional.interpolate(cells, size=images.shape[-2:], mode="bilinear")
            for cells in (annealed_mean(colors, self.bins), found)
        )
        lab = rgb_to_lab(images)
        rows = (lab_to_rgb(torch.cat((lab[:, :1], ab), dim=1)), lab_to_rgb(torch.cat((lit, lab[:, 1:]), dim=1)), images)
        return {"from the top: colors predicted, lightness predicted, truth": picture_grid(rows)}

    def _guesses(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "batch bins h w"], Float[Tensor, "batch levels h w"]]:
        """Logits of each cell's bin of color, from lightness, and of its level of lightness, from colors."""
        colors = self.to_colors(self.encoder.lightness.features(images)).float()
        return colors, self.to_lightness(self.encoder.colors.features(images)).float()
