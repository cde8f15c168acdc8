"""Split-brain autoencoder: one half of the encoder predicts colors from lightness, the other lightness from colors."""

from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional

from mmssl.errors import ConfigError
from mmssl.functional.color import quantize_ab, rgb_to_lab
from mmssl.functional.color_bins import NUM_BINS, ab_bins
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
        colors = self.to_colors(self.encoder.lightness.features(images)).float()
        lightness = self.to_lightness(self.encoder.colors.features(images)).float()
        lab = functional.interpolate(rgb_to_lab(images), size=colors.shape[-2:], mode="area")
        level = (lab[:, 0] / 100 * self.lightness_levels).long().clamp(0, self.lightness_levels - 1)
        color_loss = functional.cross_entropy(colors, quantize_ab(lab[:, 1:], self.bins))
        lightness_loss = functional.cross_entropy(lightness, level)
        return {
            "loss": color_loss + lightness_loss,
            "color_loss": color_loss.detach(),
            "lightness_loss": lightness_loss.detach(),
        }
