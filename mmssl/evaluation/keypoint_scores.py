"""Scores of points that were carried through videos: the field's measures over several videos together."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mmssl.evaluation.points import box_sides, crw_distances, pck, pck_by_area, tap_vid_shares

ALPHAS = (0.1, 0.2)

METRICS = (
    *(f"pck@{alpha}" for alpha in ALPHAS),
    *(f"pck_crw@{alpha}" for alpha in ALPHAS),
    "pck_badja@0.2",
    "delta_avg",
)
"""Names of what `point_scores` gives."""


@dataclass(frozen=True)
class Track:
    """What became of the points of a video.

    Args:
        names: Of the points.
        groups: The points of each animal.
        predicted: Where they were found, on the scored frames.
        truth: Where they are; NaN where nothing is scored.
        annotated: Where they are; NaN where that is not known.
        areas: Pixels of the mask of each frame; NaN where there is none.
        size: Height and width of the frames.
    """

    names: tuple[str, ...]
    groups: list[Tensor]
    predicted: Float[Tensor, "frames points 2"]
    truth: Float[Tensor, "frames points 2"]
    annotated: Float[Tensor, "frames points 2"]
    areas: Float[Tensor, " frames"]
    size: tuple[int, int]


def point_scores(tracks: Iterable[Track]) -> dict[str, float | None]:
    """The `METRICS` of some videos together."""
    tracks = list(tracks)
    values: dict[str, float | None] = {}
    for alpha in ALPHAS:
        hits = [
            pck(
                track.predicted[:, points],
                track.truth[:, points],
                alpha=alpha,
                boxes=box_sides(track.annotated[:, points]),
            )
            for track in tracks
            for points in track.groups
        ]
        values[f"pck@{alpha}"] = _mean(torch.cat(hits).double().tolist() if hits else [])
        values[f"pck_crw@{alpha}"] = _mean_over_joints(tracks, alpha)
    badja = [pck_by_area(track.predicted, track.truth, track.areas) for track in tracks]
    values["pck_badja@0.2"] = _mean([float(hits.float().mean()) for hits in badja if len(hits)])
    shares = [tap_vid_shares(track.predicted, track.truth, size=track.size).mean() for track in tracks]
    values["delta_avg"] = _mean([float(share) for share in shares if not share.isnan()])
    return values


def _mean_over_joints(tracks: Iterable[Track], alpha: float) -> float | None:
    hits: dict[str, list[bool]] = defaultdict(list)
    for track in tracks:
        for points in track.groups:
            distances = crw_distances(track.predicted[:, points], track.truth[:, points])
            for column, point in enumerate(points.tolist()):
                known = distances[:, column][~distances[:, column].isnan()]
                hits[track.names[point]] += (known <= alpha).tolist()
    return _mean([sum(joint) / len(joint) for joint in hits.values() if joint])


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
