"""Two networks side by side: one sees lightness alone, the other colors alone."""

from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor

from mmssl.config import Choice, Spec, build
from mmssl.models.encoder import Encoder
from mmssl.models.resnet import ResNet18
from mmssl.models.small_resnet import SmallResNet
from mmssl.models.vit import VisionTransformer

HALF_CHOICE = Choice({"resnet18": ResNet18, "small_resnet": SmallResNet, "vit": VisionTransformer}, "half")


class SplitBrain(Encoder):
    """What both halves find, side by side.

    Args:
        half: The network of either half, with its settings; its input is set here.

    Source:
        Zhang, Isola and Efros 2017, arXiv:1611.09842, section 3.
    """

    def __init__(self, *, half: Annotated[Spec | str, HALF_CHOICE]) -> None:
        super().__init__()
        spec = {"name": half} if isinstance(half, str) else half
        self.lightness: Encoder = build({**spec, "input": "lightness"}, HALF_CHOICE)
        self.colors: Encoder = build({**spec, "input": "ab"}, HALF_CHOICE)
        self.input = "lab"
        self.stride = self.lightness.stride
        self.dim = 2 * self.lightness.dim
        self.feature_dim = 2 * self.lightness.feature_dim

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch dim"]:
        """The embeddings of both halves."""
        return torch.cat((self.lightness(images), self.colors(images)), dim=1)

    def features(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch feature_dim h w"]:
        """The feature maps of both halves; see `Encoder`."""
        return torch.cat((self.lightness.features(images), self.colors.features(images)), dim=1)
