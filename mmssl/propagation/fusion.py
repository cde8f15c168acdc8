"""Two passes over the same frame, one from each side, made one: each counts by its confidence and its nearness."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def fuse(
    forward: Float[Tensor, "channels h w"],
    backward: Float[Tensor, "channels h w"],
    *,
    confidences: tuple[Float[Tensor, " channels"], Float[Tensor, " channels"]],
    known: tuple[Bool[Tensor, " channels"], Bool[Tensor, " channels"]],
    steps: tuple[int, int],
    num_regions: int,
) -> tuple[Float[Tensor, "channels h w"], Float[Tensor, " channels"]]:
    """Weighted mean of two passes; a pass speaks only of the objects that are seen on its labeled frame.

    The weight of a pass is its confidence over the square of its distance, for each channel by itself: drift grows with
    the distance, and the inverse of its variance is the best weight. An object that only one labeled frame shows is
    carried by that pass alone until it fades: it begins, or ends, there; the other pass gives way to it. The confidence is
    the weighted mean too, less up to a half of it where the passes disagree.

    Args:
        forward: Labels of the forward pass.
        backward: Labels of the backward pass.
        confidences: Of each pass.
        known: Channels that each pass speaks of.
        steps: Frames from each pass's labeled frame, at least 1.
        num_regions: Channels of the background and the masks, which come first and sum to one after.

    Returns:
        Fused labels and their confidence.
    """
    weights = torch.stack(
        [
            each.clamp(min=1e-3) / distance**2 * speaks
            for each, distance, speaks in zip(confidences, steps, known, strict=True)
        ]
    )
    if num_regions > 1:
        weights[:, 0] = weights[:, 1:num_regions].mean(dim=1)
    first = _give_way(forward, backward, known[1] & ~known[0], num_regions)
    second = _give_way(backward, forward, known[0] & ~known[1], num_regions)
    total = weights.sum(dim=0).clamp(min=1e-12)
    share = (weights / total)[:, :, None, None]
    fused = share[0] * first + share[1] * second
    if num_regions:
        regions = fused[:num_regions]
        fused = torch.cat((regions / regions.sum(dim=0).clamp(min=1e-6), fused[num_regions:]))
    mean = (share[:, :, 0, 0] * torch.stack(confidences)).sum(dim=0)
    return fused, torch.where(known[0] & known[1], mean * (1 + agreement(forward, backward)) / 2, mean)


def _give_way(
    own: Float[Tensor, "channels h w"],
    other: Float[Tensor, "channels h w"],
    unknown: Bool[Tensor, " channels"],
    num_regions: int,
) -> Float[Tensor, "channels h w"]:
    """Takes back what a pass says of the background and masks where the other sees an object that it does not know."""
    if not bool(unknown[1:num_regions].any()):
        return own
    claimed = other[1:num_regions][unknown[1:num_regions]].sum(dim=0).clamp(max=1)
    return torch.cat((own[:num_regions] * (1 - claimed), own[num_regions:]))


def agreement(a: Float[Tensor, "channels h w"], b: Float[Tensor, "channels h w"]) -> Float[Tensor, " channels"]:
    """Sum of the smaller over sum of the larger values; 1 for two empty maps."""
    union = torch.maximum(a, b).sum((1, 2))
    return torch.where(union > 1e-6, torch.minimum(a, b).sum((1, 2)) / union.clamp(min=1e-6), torch.ones_like(union))
