"""Random changes of color, all of them one linear map of RGB for each image."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from mmssl.functional.random import ItemRandom

_GREY = (0.299, 0.587, 0.114)
_RGB_TO_YIQ = (_GREY, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


def jitter_colors(
    images: Float[Tensor, "batch 3 height width"],
    random: ItemRandom,
    name: str,
    *,
    strength: float,
    extents: tuple[float, float, float, float] = (0.8, 0.8, 0.8, 0.2),
    probability: float = 0.8,
    grey_probability: float = 0.2,
) -> Float[Tensor, "batch 3 height width"]:
    """Changes brightness, contrast, saturation and hue in random order, then makes some images grey.

    Each change is linear in RGB (hue turns the I-Q plane of YIQ), and so is their chain; values are clipped to 0..1 once,
    at the end.

    Args:
        images: RGB in 0..1.
        random: One item an image.
        name: Of the draws.
        strength: Multiplies the extents.
        extents: Largest changes of brightness, contrast and saturation either way, as a share of what they are, and of
            hue, as a share of the circle.
        probability: Of a change of color.
        grey_probability: Of becoming grey.

    Source:
        Chen et al. 2020, arXiv:2002.05709, appendix A.
    """
    *reaches, turns = (strength * extent for extent in extents)
    low = torch.tensor([max(0.0, 1 - reach) for reach in reaches])
    high = torch.tensor([1 + reach for reach in reaches])
    factors = low + random.uniform(f"{name}/factors", (3,)) * (high - low)
    turn = random.uniform(f"{name}/hue", low=-turns, high=turns) * (2 * math.pi)
    brightness, contrast, saturation = factors[:, :, None, None].unbind(1)
    identity = torch.eye(4).expand(len(images), 4, 4)
    grey = torch.zeros(4, 4)
    grey[:3, :3] = torch.tensor(_GREY)
    grey[3, 3] = 1
    last = torch.zeros(4, 4)
    last[3, 3] = 1

    steps = torch.stack(
        (
            brightness * (identity - last) + last,
            contrast * (identity - last) + last,
            saturation * identity + (1 - saturation) * grey,
            _hue(turn),
        ),
        dim=1,
    )
    mean = torch.cat((images.mean((2, 3)).cpu(), torch.ones(len(images), 1)), dim=1)[:, :, None]
    order = random.permutations(f"{name}/order", 4)
    chain = identity
    rows = torch.arange(len(images))
    for position in range(4):
        which = order[:, position]
        step = steps[rows, which].clone()
        level = (grey @ chain @ mean)[:, :3, 0] * (1 - contrast[:, 0])
        step[:, :3, 3] += torch.where((which == 1)[:, None], level, 0.0)
        chain = step @ chain
    keep = random.uniform(f"{name}/apply") < probability
    chain = torch.where(keep[:, None, None], chain, identity)
    to_grey = random.uniform(f"{name}/grey") < grey_probability
    chain = torch.where(to_grey[:, None, None], grey @ chain, chain).to(images.device)
    flat = torch.baddbmm(chain[:, :3, 3:], chain[:, :3, :3], images.flatten(2))
    return flat.clamp_(0, 1).view_as(images)


def _hue(turn: Float[Tensor, " batch"]) -> Float[Tensor, "batch 4 4"]:
    """Turns the colors around the grey axis, in radians."""
    to_yiq = torch.tensor(_RGB_TO_YIQ)
    cosine, sine = turn.cos(), turn.sin()
    rotation = torch.zeros(len(turn), 3, 3)
    rotation[:, 0, 0] = 1
    rotation[:, 1, 1] = rotation[:, 2, 2] = cosine
    rotation[:, 1, 2], rotation[:, 2, 1] = -sine, sine
    whole = torch.eye(4).repeat(len(turn), 1, 1)
    whole[:, :3, :3] = torch.linalg.inv(to_yiq) @ rotation @ to_yiq
    return whole
