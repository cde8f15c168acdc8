"""Training objectives, one file each."""

from mmssl.config import Choice
from mmssl.objectives.contrastive_random_walk import ContrastiveRandomWalk
from mmssl.objectives.objective import Objective
from mmssl.objectives.simclr import SimCLR
from mmssl.objectives.video_colorization import VideoColorization

OBJECTIVES: dict[str, type[Objective]] = {
    "contrastive_random_walk": ContrastiveRandomWalk,
    "simclr": SimCLR,
    "video_colorization": VideoColorization,
}
"""Objectives by name in a recipe."""

OBJECTIVE_CHOICE = Choice(OBJECTIVES, "objective", provided=("encoder",))
