"""Training objectives, one file each."""

from mmssl.config import Choice
from mmssl.objectives.contrastive_random_walk import ContrastiveRandomWalk
from mmssl.objectives.dense_contrastive import DenseContrastive
from mmssl.objectives.frame_order import FrameOrder
from mmssl.objectives.frame_sorting import FrameSorting
from mmssl.objectives.moco import MoCoV1, MoCoV2
from mmssl.objectives.objective import Objective
from mmssl.objectives.simclr import SimCLR
from mmssl.objectives.time_contrast import TimeContrast
from mmssl.objectives.video_colorization import VideoColorization

OBJECTIVES: dict[str, type[Objective]] = {
    "contrastive_random_walk": ContrastiveRandomWalk,
    "dense_contrastive": DenseContrastive,
    "frame_order": FrameOrder,
    "frame_sorting": FrameSorting,
    "moco_v1": MoCoV1,
    "moco_v2": MoCoV2,
    "simclr": SimCLR,
    "time_contrast": TimeContrast,
    "video_colorization": VideoColorization,
}
"""Objectives by name in a recipe."""

OBJECTIVE_CHOICE = Choice(OBJECTIVES, "objective", provided=("encoder",))
