"""From a feature map back to pixels."""

import math

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class PixelDecoder(nn.Module):
    """Doubles the resolution step by step, with a 3 x 3 convolution after each, then a 1 x 1 convolution.

    Args:
        dim: Channels of the feature map.
        out_channels: Channels of the result.
        factor: By how much the resolution grows; rounded up to a power of two.
        width: Smallest number of channels on the way, which are halved at each step.
    """

    def __init__(self, dim: int, out_channels: int, *, factor: int, width: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = dim
        for _ in range(math.ceil(math.log2(factor))):
            narrower = max(width, channels // 2)
            layers += [
                nn.Upsample(scale_factor=2, mode="nearest"),
                nn.Conv2d(channels, narrower, 3, padding=1, bias=False),
                nn.BatchNorm2d(narrower),
                nn.ReLU(inplace=True),
            ]
            channels = narrower
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels, out_channels, 1))

    def forward(
        self, features: Float[Tensor, "batch dim h w"], *, size: tuple[int, int]
    ) -> Float[Tensor, "batch out_channels height width"]:
        """The decoded map, brought to `size` where the steps do not end there."""
        decoded: Tensor = self.layers(features)
        if tuple(decoded.shape[-2:]) != size:
            decoded = functional.interpolate(decoded, size=size, mode="bilinear", align_corners=False)
        return decoded
