"""Denoising autoencoder: an image from a corrupted copy of it."""

from collections.abc import Mapping
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from mmssl.functional.picture_grid import picture_grid
from mmssl.models.encoder import Encoder
from mmssl.models.pixel_decoder import PixelDecoder
from mmssl.objectives.objective import Batch, Objective, Output


class DenoisingAutoencoder(Objective):
    """The mean squared error between the image and what a decoder makes of the corrupted copy's feature map.

    Args:
        encoder: See `Objective`.
        decoder_width: Smallest number of channels in the decoder.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "corrupted"}
    source = "Vincent et al. 2008, doi:10.1145/1390156.1390294"
    units: ClassVar[Mapping[str, str]] = {"loss": "mean squared error of RGB in 0..1"}

    def __init__(self, encoder: Encoder, *, decoder_width: int = 32) -> None:
        super().__init__(encoder)
        self.decoder = PixelDecoder(encoder.feature_dim, 3, factor=encoder.stride, width=decoder_width)

    def forward(self, batch: Batch) -> Output:
        """The loss of `corrupted` against `image`."""
        return {"loss": functional.mse_loss(self._restored(batch["corrupted"]).float(), batch["image"])}

    def _pictures(self, batch: Batch) -> dict[str, Float[Tensor, "3 height width"]]:
        """Corrupted, restored and true images."""
        restored = self._restored(batch["corrupted"][:8]).clamp(0, 1)
        rows = (batch["corrupted"][:8], restored, batch["image"][:8])
        return {"from the top: corrupted, restored, truth": picture_grid(rows)}

    def _restored(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 3 height width"]:
        restored: Tensor = self.decoder(self.encoder.features(images), size=tuple(images.shape[-2:]))
        return restored
