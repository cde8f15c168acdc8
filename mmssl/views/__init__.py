"""Clips to the tensors an objective trains on, built for a whole batch at a time."""

from collections.abc import Callable

from mmssl.config import Choice
from mmssl.views.audio_visual import AudioVisualView
from mmssl.views.byol import BYOLView
from mmssl.views.corrupted import CorruptedView
from mmssl.views.frames import CenterView, FramesView
from mmssl.views.mae import MAEView
from mmssl.views.moco import MoCoV1View, MoCoV2View
from mmssl.views.multi_crop import DINOView
from mmssl.views.ordered_frames import OrderedFramesView
from mmssl.views.patches import PatchesView
from mmssl.views.pretext import CropView, RotationView
from mmssl.views.separate_crops import SeparateCropsView
from mmssl.views.simclr import SimCLRView
from mmssl.views.sound import SoundPairView, SoundView
from mmssl.views.tiles import JigsawView, RelativePatchView
from mmssl.views.time_contrast import TimeContrastView
from mmssl.views.view import View

VIEWS: dict[str, Callable[..., View]] = {
    "audio_visual": AudioVisualView,
    "byol": BYOLView,
    "center": CenterView,
    "corrupted": CorruptedView,
    "crop": CropView,
    "dino": DINOView,
    "frames": FramesView,
    "jigsaw": JigsawView,
    "mae": MAEView,
    "moco_v1": MoCoV1View,
    "moco_v2": MoCoV2View,
    "ordered_frames": OrderedFramesView,
    "patches": PatchesView,
    "relative_patch": RelativePatchView,
    "rotation": RotationView,
    "separate_crops": SeparateCropsView,
    "simclr": SimCLRView,
    "sound": SoundView,
    "sound_pair": SoundPairView,
    "time_contrast": TimeContrastView,
}
"""Views by name in a recipe."""

VIEW_CHOICE = Choice(VIEWS, "view")
