"""Clips to the tensors an objective trains on, built for a whole batch at a time."""

from collections.abc import Callable

from mmssl.config import Choice
from mmssl.views.frames import CenterView, FramesView
from mmssl.views.patches import PatchesView
from mmssl.views.separate_crops import SeparateCropsView
from mmssl.views.simclr import SimCLRView
from mmssl.views.view import View

VIEWS: dict[str, Callable[..., View]] = {
    "center": CenterView,
    "frames": FramesView,
    "patches": PatchesView,
    "separate_crops": SeparateCropsView,
    "simclr": SimCLRView,
}
"""Views by name in a recipe."""

VIEW_CHOICE = Choice(VIEWS, "view")
