"""Protocols that turn an encoder and a manifest into report rows, one file each."""

from collections.abc import Callable

from mmssl.config import Choice
from mmssl.evaluation.keypoints import keypoints
from mmssl.evaluation.knn import knn
from mmssl.evaluation.linear_probe import linear_probe
from mmssl.evaluation.propagation import propagation
from mmssl.evaluation.report_row import ReportRow

EVALUATIONS: dict[str, Callable[..., list[ReportRow]]] = {
    "keypoints": keypoints,
    "knn": knn,
    "linear_probe": linear_probe,
    "propagation": propagation,
}
"""Called `evaluation(subject, **settings)`; the first metric that an evaluation gives is its main one."""

EVALUATION_CHOICE = Choice(EVALUATIONS, "evaluation", provided=("subject",))

BASELINES: dict[str, tuple[str, ...]] = {
    "keypoints": ("lab", "random:"),
    "knn": ("pixels", "random:"),
    "linear_probe": ("pixels", "random:"),
    "propagation": ("lab", "random:"),
}
"""Encoders that stand beside every score; `random:` stands for each trained encoder with fresh weights."""

NEEDS: dict[str, str] = {
    "keypoints": "manifest",
    "knn": "clips",
    "linear_probe": "clips",
    "propagation": "manifest",
}
"""What an evaluation reads: decoded `clips`, or the media files of a `manifest`."""
