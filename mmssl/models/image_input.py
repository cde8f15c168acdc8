"""The first step of every image encoder: what it sees of an RGB image, scaled to values around zero."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mmssl.functional.color import rgb_to_lab

InputColors = Literal["rgb", "lab", "lightness", "ab"]

_MEAN = {"rgb": (0.485, 0.456, 0.406), "lab": (50.0, 0.0, 0.0), "lightness": (50.0,), "ab": (0.0, 0.0)}
_STD = {"rgb": (0.229, 0.224, 0.225), "lab": (25.0, 20.0, 20.0), "lightness": (25.0,), "ab": (20.0, 20.0)}


class ImageInput(nn.Module):
    """Turns RGB in 0..1 into the normalised channels of a kind of input.

    Args:
        colors: `rgb` (ImageNet's mean and deviation), `lab`, `lightness`, which is Lab without a and b, or `ab`, which is
            Lab without lightness.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, colors: InputColors) -> None:
        super().__init__()
        self.colors = colors
        self.channels = len(_MEAN[colors])
        self.register_buffer("mean", torch.tensor(_MEAN[colors])[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(_STD[colors])[:, None, None], persistent=False)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch channels height width"]:
        """Converts and normalises."""
        first = 1 if self.colors == "ab" else 0
        seen = images if self.colors == "rgb" else rgb_to_lab(images)[:, first : first + self.channels]
        return (seen - self.mean) / self.std


def fill_cells(
    images: Float[Tensor, "batch channels height width"], stride: int
) -> Float[Tensor, "batch channels filled_height filled_width"]:
    """Repeats the right and bottom edge until both sides are multiples of the stride."""
    height, width = images.shape[-2:]
    missing = (-height % stride, -width % stride)
    return functional.pad(images, (0, missing[1], 0, missing[0]), mode="replicate") if any(missing) else images
