"""Encoders and the heads that sit on them."""

from collections.abc import Callable

from mmssl.config import Choice
from mmssl.models.colors import LabPatches, Pixels
from mmssl.models.encoder import Encoder
from mmssl.models.open_clip_encoder import OpenClip
from mmssl.models.resnet import ResNet18
from mmssl.models.small_resnet import SmallResNet
from mmssl.models.split_brain import SplitBrain
from mmssl.models.timm_encoder import TimmEncoder
from mmssl.models.towers import ImageTextTowers
from mmssl.models.vit import VisionTransformer

ENCODERS: dict[str, Callable[..., Encoder]] = {
    "image_text": ImageTextTowers,
    "lab": LabPatches,
    "open_clip": OpenClip,
    "pixels": Pixels,
    "resnet18": ResNet18,
    "small_resnet": SmallResNet,
    "split_brain": SplitBrain,
    "timm": TimmEncoder,
    "vit": VisionTransformer,
}
"""Encoders by name in a recipe."""

ENCODER_CHOICE = Choice(ENCODERS, "encoder")
