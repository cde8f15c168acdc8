"""Protocols that turn an encoder and a manifest into report rows, one file each."""

from collections.abc import Callable

from mmssl.config import Choice
from mmssl.evaluation.abx import abx
from mmssl.evaluation.attention import attention
from mmssl.evaluation.audio_visual_retrieval import audio_visual_retrieval
from mmssl.evaluation.clustering import clustering
from mmssl.evaluation.distillation import distillation
from mmssl.evaluation.few_labels import few_labels
from mmssl.evaluation.few_shot import few_shot
from mmssl.evaluation.fine_tune import fine_tune
from mmssl.evaluation.frame_order import frame_order
from mmssl.evaluation.frame_probe import frame_probe
from mmssl.evaluation.image_text_retrieval import image_text_retrieval
from mmssl.evaluation.keypoints import keypoints
from mmssl.evaluation.knn import knn
from mmssl.evaluation.left_out import left_out
from mmssl.evaluation.linear_probe import linear_probe
from mmssl.evaluation.linear_probe_sgd import linear_probe_sgd
from mmssl.evaluation.projection import projection
from mmssl.evaluation.propagation import propagation
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.retrieval import retrieval
from mmssl.evaluation.self_training import self_training
from mmssl.evaluation.sound_clusters import sound_clusters
from mmssl.evaluation.time_offset import time_offset
from mmssl.evaluation.which_clip import which_clip

EVALUATIONS: dict[str, Callable[..., list[ReportRow]]] = {
    "abx": abx,
    "attention": attention,
    "audio_visual_retrieval": audio_visual_retrieval,
    "clustering": clustering,
    "distillation": distillation,
    "few_labels": few_labels,
    "few_shot": few_shot,
    "fine_tune": fine_tune,
    "frame_order": frame_order,
    "frame_probe": frame_probe,
    "image_text_retrieval": image_text_retrieval,
    "keypoints": keypoints,
    "knn": knn,
    "left_out": left_out,
    "linear_probe": linear_probe,
    "linear_probe_sgd": linear_probe_sgd,
    "projection": projection,
    "propagation": propagation,
    "retrieval": retrieval,
    "self_training": self_training,
    "sound_clusters": sound_clusters,
    "time_offset": time_offset,
    "which_clip": which_clip,
}
"""Called `evaluation(subject, **settings)`; the first metric that an evaluation gives is its main one."""

EVALUATION_CHOICE = Choice(EVALUATIONS, "evaluation", provided=("subject",))

BASELINES: dict[str, tuple[str, ...]] = {
    "abx": ("pixels", "random:"),
    "audio_visual_retrieval": ("random:",),
    "clustering": ("pixels", "random:"),
    "distillation": ("random:",),
    "few_labels": ("pixels", "random:"),
    "few_shot": ("pixels", "random:"),
    "fine_tune": ("random:",),
    "frame_order": ("pixels", "random:"),
    "frame_probe": ("pixels", "random:"),
    "image_text_retrieval": ("random:",),
    "keypoints": ("lab", "random:"),
    "knn": ("pixels", "random:"),
    "left_out": ("pixels", "random:"),
    "linear_probe": ("pixels", "random:"),
    "linear_probe_sgd": ("pixels", "random:"),
    "projection": ("pixels", "random:"),
    "propagation": ("lab", "random:"),
    "retrieval": ("pixels", "random:"),
    "self_training": ("pixels", "random:"),
    "sound_clusters": ("pixels", "random:"),
    "time_offset": ("random:",),
    "which_clip": ("pixels", "random:"),
}
"""Encoders that stand beside every score; `random:` stands for each trained encoder with fresh weights."""

FOR_SOUND: dict[str, tuple[str, ...]] = {"pixels": ("mfcc", "log_mel")}
"""What stands in for a baseline of pictures where the clips are sound, at the rate of the clips."""

NEEDS: dict[str, str] = {
    "abx": "clips",
    "attention": "clips",
    "audio_visual_retrieval": "clips",
    "clustering": "clips",
    "distillation": "clips",
    "few_labels": "clips",
    "few_shot": "clips",
    "fine_tune": "clips",
    "frame_order": "clips",
    "frame_probe": "clips",
    "image_text_retrieval": "clips",
    "keypoints": "manifest",
    "knn": "clips",
    "left_out": "clips",
    "linear_probe": "clips",
    "linear_probe_sgd": "clips",
    "projection": "clips",
    "propagation": "manifest",
    "retrieval": "clips",
    "self_training": "clips",
    "sound_clusters": "clips",
    "time_offset": "clips",
    "which_clip": "clips",
}
"""What an evaluation reads: decoded `clips`, or the media files of a `manifest`."""
