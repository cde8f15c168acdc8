"""Motion of single points between two images at a fraction of a pixel, and of points that move together.

Points are x and y in pixels; the center of the top-left pixel is (0.5, 0.5).
"""

from functools import cache

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

LEVELS = 4
"""Images of a pyramid; each has half the side of the one before. Steps of some tens of pixels are found."""

RADIUS = 10
"""Pixels of a patch to each side of its point, at every level."""

STEPS = 8
"""Improvements of a place at each level."""

FLAT = 1e-4
"""Added to the squared gradients, so that a patch without any stays where it is; images are 0 to 1."""

LUMA = (0.299, 0.587, 0.114)


def image_pyramid(frame: UInt8[Tensor, "3 height width"]) -> list[Float[Tensor, "_ _"]]:
    """Lightness of a frame, 0 to 1, then smoothed and halved again and again."""
    kernel = torch.tensor([1.0, 4, 6, 4, 1]) / 16
    levels = [torch.einsum("chw,c->hw", frame.float() / 255, torch.tensor(LUMA))]
    for _ in range(LEVELS - 1):
        padded = F.pad(levels[-1][None, None], (2, 2, 2, 2), mode="replicate")
        smooth = F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, 5)), kernel.view(1, 1, 5, 1))
        levels.append(smooth[0, 0, ::2, ::2].contiguous())
    return levels


def follow_points(
    before: list[Float[Tensor, "_ _"]],
    after: list[Float[Tensor, "_ _"]],
    points: Float[Tensor, "points 2"],
    *,
    guess: Float[Tensor, "points 2"] | None = None,
) -> Float[Tensor, "points 2"]:
    """Where the patch around each point of one image is in another one: shifted, its mean lightness of no matter.

    Args:
        before: Pyramid of the image that the points are on.
        after: Pyramid of the other image.
        points: On the first image.
        guess: Where to begin on the other one; the same places where not given.

    Source:
        Baker and Matthews 2004, "Lucas-Kanade 20 Years On", the inverse compositional algorithm; Bouguet 2000 for pyramids.
    """
    offsets, weights = _window()
    place, shift = points - 0.5, torch.zeros_like(points) if guess is None else guess - points
    for level in reversed(range(len(before))):
        scale = 2.0**level
        around = (place / scale)[:, None] + offsets
        patch = _centered(_sample(before[level], around), weights)
        across, down = (
            _centered((_sample(before[level], around + step) - _sample(before[level], around - step)) / 2, weights)
            for step in torch.eye(2)
        )
        xx, xy, yy = ((a * b * weights).sum(1) for a, b in ((across, across), (across, down), (down, down)))
        xx, yy = xx + FLAT, yy + FLAT
        shift = shift / scale
        for _ in range(STEPS):
            error = _centered(_sample(after[level], around + shift[:, None]), weights) - patch
            x, y = ((slope * error * weights).sum(1) for slope in (across, down))
            change = torch.stack((yy * x - xy * y, xx * y - xy * x), dim=1) / (xx * yy - xy**2)[:, None]
            shift = shift - change.clamp(-2, 2)
        shift = shift * scale
    return points + shift


def resemblance(
    image: Float[Tensor, "height width"],
    points: Float[Tensor, "points 2"],
    other: Float[Tensor, "other_height other_width"],
    places: Float[Tensor, "points 2"],
    *,
    turn: Float[Tensor, "2 2"],
) -> Float[Tensor, " points"]:
    """Correlation, -1 to 1, of the patch around each point with the one around its place on another image.

    Args:
        image: Lightness.
        points: On `image`.
        other: Lightness of the other image.
        places: On `other`.
        turn: Rotation from the one to the other.
    """
    offsets, weights = _window()
    a = _centered(_sample(image, (points - 0.5)[:, None] + offsets @ turn), weights)
    b = _centered(_sample(other, (places - 0.5)[:, None] + offsets), weights)
    energy = (a * a * weights).sum(1) * (b * b * weights).sum(1)
    correlation: Tensor = (a * b * weights).sum(1) / energy.sqrt().clamp(min=1e-6)
    return correlation


def rigid_motion(
    source: Float[Tensor, "points 2"],
    target: Float[Tensor, "points 2"],
    *,
    weights: Float[Tensor, " points"],
    tolerance: float,
    rounds: int = 5,
) -> tuple[Float[Tensor, "2 2"], Float[Tensor, " 2"]]:
    """Rotation and shift that bring points nearest to others; points that do not go along count little.

    Args:
        source: Points.
        target: Where they should go: `source @ rotation.T + shift`.
        weights: Of each, >= 0.
        tolerance: Distance from which on a point counts for less than half.
        rounds: Fits, each with the points weighted by their distance after the one before.
    """
    trusted = weights
    for _ in range(rounds):
        share = trusted / trusted.sum().clamp(min=1e-12)
        middles = share @ source, share @ target
        a, b = source - middles[0], target - middles[1]
        cosine = (share[:, None] * a * b).sum()
        sine = (share * (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])).sum()
        angle = torch.atan2(sine, cosine)
        rotation = torch.stack((angle.cos(), -angle.sin(), angle.sin(), angle.cos())).view(2, 2)
        shift = middles[1] - rotation @ middles[0]
        distances = torch.linalg.vector_norm(source @ rotation.T + shift - target, dim=1)
        trusted = weights / (1 + (distances / tolerance) ** 2)
    return rotation, shift


@cache
def _window() -> tuple[Float[Tensor, "pixels 2"], Float[Tensor, " pixels"]]:
    """X and y of the pixels of a patch from its point, and how much each counts, in sum 1."""
    steps = torch.arange(-RADIUS, RADIUS + 1).float()
    offsets = torch.cartesian_prod(steps, steps).flip(1)
    weights = (-(offsets**2).sum(dim=1) / (2 * (RADIUS / 1.5) ** 2)).exp()
    return offsets, weights / weights.sum()


def _sample(image: Float[Tensor, "h w"], places: Float[Tensor, "points pixels 2"]) -> Float[Tensor, "points pixels"]:
    """The image at places counted from the center of its top-left pixel, linear between pixels, its border beyond."""
    size = torch.tensor([image.shape[1], image.shape[0]])
    grid = (2 * places + 1) / size - 1
    return F.grid_sample(image[None, None], grid[None], padding_mode="border", align_corners=False)[0, 0]


def _centered(
    values: Float[Tensor, "points pixels"], weights: Float[Tensor, " pixels"]
) -> Float[Tensor, "points pixels"]:
    return values - (values @ weights)[:, None]
