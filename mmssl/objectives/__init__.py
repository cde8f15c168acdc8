"""Training objectives, one file each."""

from mmssl.config import Choice
from mmssl.objectives.audio_clusters import AudioClusters
from mmssl.objectives.audio_contrastive import AudioContrastive
from mmssl.objectives.audio_visual_correspondence import AudioVisualCorrespondence
from mmssl.objectives.barlow_twins import BarlowTwins
from mmssl.objectives.byol import BYOL
from mmssl.objectives.clip import CLIP
from mmssl.objectives.colorization import Colorization
from mmssl.objectives.context_encoder import ContextEncoder
from mmssl.objectives.contrastive_random_walk import ContrastiveRandomWalk
from mmssl.objectives.cpc import CPC
from mmssl.objectives.cpc_image import CPCImage
from mmssl.objectives.denoising_autoencoder import DenoisingAutoencoder
from mmssl.objectives.dense_contrastive import DenseContrastive
from mmssl.objectives.dino import DINO
from mmssl.objectives.frame_order import FrameOrder
from mmssl.objectives.frame_sorting import FrameSorting
from mmssl.objectives.jigsaw import Jigsaw
from mmssl.objectives.mae import MAE
from mmssl.objectives.moco import MoCoV1, MoCoV2
from mmssl.objectives.moco_v3 import MoCoV3
from mmssl.objectives.objective import Objective
from mmssl.objectives.relative_patch import RelativePatch
from mmssl.objectives.rotation import Rotation
from mmssl.objectives.siglip import SigLIP
from mmssl.objectives.simclr import SimCLR
from mmssl.objectives.simsiam import SimSiam
from mmssl.objectives.split_brain import SplitBrainAutoencoder
from mmssl.objectives.supcon import SupCon
from mmssl.objectives.time_contrast import TimeContrast
from mmssl.objectives.vicreg import VICReg
from mmssl.objectives.video_colorization import VideoColorization

OBJECTIVES: dict[str, type[Objective]] = {
    "audio_clusters": AudioClusters,
    "audio_contrastive": AudioContrastive,
    "audio_visual_correspondence": AudioVisualCorrespondence,
    "barlow_twins": BarlowTwins,
    "byol": BYOL,
    "clip": CLIP,
    "colorization": Colorization,
    "context_encoder": ContextEncoder,
    "contrastive_random_walk": ContrastiveRandomWalk,
    "cpc": CPC,
    "cpc_image": CPCImage,
    "denoising_autoencoder": DenoisingAutoencoder,
    "dense_contrastive": DenseContrastive,
    "dino": DINO,
    "frame_order": FrameOrder,
    "frame_sorting": FrameSorting,
    "jigsaw": Jigsaw,
    "mae": MAE,
    "moco_v1": MoCoV1,
    "moco_v2": MoCoV2,
    "moco_v3": MoCoV3,
    "relative_patch": RelativePatch,
    "rotation": Rotation,
    "siglip": SigLIP,
    "simclr": SimCLR,
    "simsiam": SimSiam,
    "split_brain": SplitBrainAutoencoder,
    "supcon": SupCon,
    "time_contrast": TimeContrast,
    "vicreg": VICReg,
    "video_colorization": VideoColorization,
}
"""Objectives by name in a recipe."""

OBJECTIVE_CHOICE = Choice(OBJECTIVES, "objective", provided=("encoder",))
