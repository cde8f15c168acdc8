"""Encoders without weights, made of colors alone: the baselines that a trained encoder has to beat."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from mmssl.errors import ConfigError
from mmssl.functional.color import rgb_to_lab
from mmssl.models.encoder import Encoder
from mmssl.models.image_input import fill_cells


class LabPatches(Encoder):
    """Each cell is its patch of the Lab image, reduced to 4 x 4 values of L, a and b.

    Every value becomes an angle, and the angle its cosine and sine. The length of a cell's vector is then always the
    same, and the cosine similarity of two cells is the mean of cos(difference of angles): near 1 minus half the mean
    square difference of angles, so that it ranks cells by color distance, which the cosine of raw Lab does not. a and b
    count four times as much as L: shadows change lightness more than color.

    Args:
        stride: Pixels per cell; a multiple of 4.

    Raises:
        ConfigError: If stride is not a positive multiple of 4.
    """

    radians: Tensor

    def __init__(self, *, stride: int = 8) -> None:
        super().__init__()
        if stride < 4 or stride % 4:
            raise ConfigError(f"stride is {stride}; it must be a multiple of 4")
        self.input = "lab"
        self.stride = stride
        self.dim = self.feature_dim = 2 * 3 * 16
        radians = torch.tensor([math.pi / 200, math.pi / 50, math.pi / 50])[:, None, None]
        self.register_buffer("radians", radians, persistent=False)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch dim"]:
        """The mean of the feature map."""
        return self.features(images).mean((2, 3))

    def features(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch feature_dim h w"]:
        """Feature maps; see `Encoder`."""
        lab = rgb_to_lab(functional.avg_pool2d(fill_cells(images, self.stride), self.stride // 4))
        angles = functional.pixel_unshuffle(lab * self.radians, 4)
        return torch.cat((angles.cos(), angles.sin()), dim=1)


class Pixels(Encoder):
    """The image itself: 16 x 16 RGB values with their mean removed; a cell of the feature map is its mean color."""

    def __init__(self) -> None:
        super().__init__()
        self.input = "rgb"
        self.stride = 8
        self.dim = 16 * 16 * 3
        self.feature_dim = 3

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch dim"]:
        """The reduced image as a vector; cosine similarity of two is the correlation of the images."""
        small = functional.interpolate(images, size=(16, 16), mode="bilinear", antialias=True).flatten(1)
        return small - small.mean(1, keepdim=True)

    def features(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch feature_dim h w"]:
        """Mean color of each cell, less middle grey; see `Encoder`."""
        return functional.avg_pool2d(fill_cells(images, self.stride), self.stride) - 0.5
