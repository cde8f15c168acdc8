"""Encoders and the heads that sit on them."""

from collections.abc import Callable

from mmssl.config import Choice
from mmssl.models.audio_visual import AudioVisualTowers
from mmssl.models.colors import LabPatches, Pixels
from mmssl.models.cpc_encoder import CPCEncoder
from mmssl.models.encoder import Encoder
from mmssl.models.mel_resnet import MelResNet
from mmssl.models.open_clip_encoder import OpenClip
from mmssl.models.patch_grid import PatchGrid
from mmssl.models.resnet import ResNet18
from mmssl.models.small_resnet import SmallResNet
from mmssl.models.spectral import MFCC, LogMel
from mmssl.models.split_brain import SplitBrain
from mmssl.models.timm_encoder import TimmEncoder
from mmssl.models.towers import ImageTextTowers
from mmssl.models.vit import VisionTransformer

ENCODERS: dict[str, Callable[..., Encoder]] = {
    "audio_visual": AudioVisualTowers,
    "cpc_encoder": CPCEncoder,
    "image_text": ImageTextTowers,
    "lab": LabPatches,
    "log_mel": LogMel,
    "mel_resnet": MelResNet,
    "mfcc": MFCC,
    "open_clip": OpenClip,
    "patch_grid": PatchGrid,
    "pixels": Pixels,
    "resnet18": ResNet18,
    "small_resnet": SmallResNet,
    "split_brain": SplitBrain,
    "timm": TimmEncoder,
    "vit": VisionTransformer,
}
"""Encoders by name in a recipe."""

ENCODER_CHOICE = Choice(ENCODERS, "encoder")
