"""Several encoders as one, whose similarities add up with weights."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mmssl.models.encoder import Encoder


class WeightedSum(Encoder):
    """The normalized features of encoders side by side, each times the square root of its weight.

    The cosine similarity of two cells is then the weighted mean of the encoders' own cosine similarities. The map has
    the cells of the first encoder; maps of other strides are brought to them by bilinear interpolation.

    Args:
        encoders: At least one.
        weights: One each, above 0.

    Raises:
        ValueError: If the numbers of encoders and weights differ, or a weight is not above 0.
    """

    def __init__(self, encoders: Sequence[Encoder], weights: Sequence[float]) -> None:
        super().__init__()
        if len(encoders) != len(weights) or not encoders or min(weights) <= 0:
            raise ValueError(f"{len(encoders)} encoders need as many weights above 0, got {list(weights)}")
        self.encoders = nn.ModuleList(encoders)
        self.input = encoders[0].input if len({encoder.input for encoder in encoders}) == 1 else "rgb"
        self.stride = encoders[0].stride
        self.dim = sum(encoder.dim for encoder in encoders)
        self.feature_dim = sum(encoder.feature_dim for encoder in encoders)
        self._scales = [(weight / sum(weights)) ** 0.5 for weight in weights]

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch dim"]:
        """The normalized embeddings side by side, scaled as the features are."""
        embeddings = [encoder(images) for encoder in self.encoders]
        return self._beside(embeddings)

    def features(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch feature_dim h w"]:
        """Feature maps; see `Encoder`."""
        maps: list[Tensor] = []
        for encoder in self.encoders:
            assert isinstance(encoder, Encoder)
            features = encoder.features(images)
            if maps and features.shape[2:] != maps[0].shape[2:]:
                features = functional.interpolate(
                    features, size=maps[0].shape[2:], mode="bilinear", align_corners=False
                )
            maps.append(features)
        return self._beside(maps)

    def _beside(self, parts: list[Tensor]) -> Tensor:
        scaled = [scale * functional.normalize(part, dim=1) for scale, part in zip(self._scales, parts, strict=True)]
        return torch.cat(scaled, dim=1)
