"""How far to trust propagated labels: four signs of trouble and the distance to the label, made one number by a fit."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from mmssl.functional.affinity import Window, normalize_features, propagate_normalized
from mmssl.propagation.fusion import agreement

SIGNS = ("sharpness", "cycle", "resemblance", "area_change", "distance")
"""Columns of the evidence, in order; see `evidence`."""

COARSE_CELLS = 1600
"""Cells to which a map is reduced before it is compared with the whole labeled frame."""

LARGEST_AREA_CHANGE = 3.0


@dataclass(frozen=True)
class Calibration:
    """Confidence = logistic(bias + weights . evidence), an estimate of the region overlap J.

    Args:
        bias: Added.
        weights: One for each of `SIGNS`; >= 0 for the first three and <= 0 for the others, so that confidence never falls
            when a sign gets better.
        typical: Mean evidence in the data of the fit; a sign's share in a low confidence is counted from there.
    """

    bias: float
    weights: tuple[float, ...]
    typical: tuple[float, ...]


CALIBRATION = Calibration(bias=-3.28, weights=(1.93, 2.19, 1.85, -0.19, -0.02), typical=(0.92, 0.88, 0.73, 0.18, 2.83))
"""Fitted by `python -m tests.benchmarks.confidence fit`: logistic regression of the region overlap J of 3726 masks, in 40 videos
made by `mmssl.data.synthetic` (40 frames, first mask given, preset `dino` at 192, 256 and 320 lines, encoders `lab` and
`pixels`), with the signs of the weights held. No real video took part. For boxes and points it orders frames, but its values
are not calibrated."""

REASONS = {
    "sharpness": "labels are mixed",
    "cycle": "does not return to the frames before",
    "resemblance": "does not look like the labeled frame",
    "area_change": "size changes at once",
    "distance": "far from a labeled frame",
}


def evidence(
    *,
    now: tuple[Float[Tensor, "dim h w"], Float[Tensor, "channels h w"]],
    before: tuple[Float[Tensor, "dim h w"], Float[Tensor, "channels h w"]],
    labeled: tuple[Float[Tensor, "dim h w"], Float[Tensor, "channels h w"]],
    winners: Bool[Tensor, "channels h w"],
    steps: int,
    window: Window,
    top_k: int,
    temperature: float,
) -> Float[Tensor, "channels signs"]:
    """What speaks for and against the labels of a frame, a row a channel.

    - sharpness: the channel's mean label in the cells that it wins, 0 to 1: low where the top-k disagree.
    - cycle: the labels are carried back to the oldest context frame; overlap with the labels there, 0 to 1.
    - resemblance: they are carried back to the labeled frame, all of it searched at a lower resolution; overlap, 0 to 1.
    - area_change: |ln| of the channel's sum over that in the oldest context frame, at most 3.
    - distance: ln(1 + frames from the labeled frame).

    Args:
        now: Normalized features and labels of the frame.
        before: The same of the oldest context frame.
        labeled: The same of the labeled frame.
        winners: Cells that each channel wins on the frame.
        steps: Frames from the labeled frame.
        window: For the way back to `before`.
        top_k: As in propagation.
        temperature: As in propagation.
    """
    features, labels = now
    sharpness = (labels * winners).sum((1, 2)) / winners.sum((1, 2)).clamp(min=1)
    returned = propagate_normalized(
        before[0], [features], [labels], windows=[window], top_k=top_k, temperature=temperature
    )
    cycle = agreement(returned, before[1])
    found = _carry_to_whole_frame(features, labels, labeled[0], top_k, temperature)
    resemblance = agreement(found, _coarse(labeled[1]))
    areas = labels.sum((1, 2)) + 1e-3, before[1].sum((1, 2)) + 1e-3
    change = (areas[0] / areas[1]).log().abs().clamp(max=LARGEST_AREA_CHANGE)
    distance = torch.full_like(change, math.log1p(steps))
    return torch.stack((sharpness, cycle, resemblance, change, distance), dim=1)


def confidence(signs: Float[Tensor, "channels signs"], by: Calibration = CALIBRATION) -> Float[Tensor, " channels"]:
    """Estimated overlap with the truth, 0 to 1, of each channel; see `Calibration`."""
    return torch.sigmoid(by.bias + signs.float() @ signs.new_tensor(by.weights).float())


def weakest_sign(signs: Float[Tensor, " signs"], by: Calibration = CALIBRATION) -> str:
    """The sign that lowers the confidence most against typical evidence."""
    cost = (signs.float().cpu() - torch.tensor(by.typical)) * torch.tensor(by.weights)
    return SIGNS[int(cost.argmin())]


def _coarse(maps: Float[Tensor, "channels h w"]) -> Float[Tensor, "channels coarse_h coarse_w"]:
    factor = math.ceil(math.sqrt(maps.shape[1] * maps.shape[2] / COARSE_CELLS))
    return F.avg_pool2d(maps[None], factor, ceil_mode=True)[0] if factor > 1 else maps


def _carry_to_whole_frame(
    features: Tensor, labels: Tensor, to: Float[Tensor, "dim h w"], top_k: int, temperature: float
) -> Float[Tensor, "channels coarse_h coarse_w"]:
    """Labels carried to another frame by coarse cells, each free to copy from anywhere."""
    keys = normalize_features(_coarse(features)[None])[0].flatten(1)
    queries = normalize_features(_coarse(to)[None])[0]
    similarity = queries.flatten(1).T @ keys
    best, places = similarity.topk(min(top_k, similarity.shape[1]), dim=1)
    weights = F.softmax(best / temperature, dim=1)
    values = _coarse(labels).flatten(1).T[places]
    return torch.einsum("qk,qkc->cq", weights, values).reshape(len(labels), *queries.shape[1:])
