"""Crops: where they are drawn, and how they are cut and resized."""

import math

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional

from mmssl.functional.random import ItemRandom

_ATTEMPTS = 10


def random_boxes(
    random: ItemRandom,
    name: str,
    *,
    height: int,
    width: int,
    scale: tuple[float, float],
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Int[Tensor, "items 4"]:
    """A random box in an image for each item: top, left, height, width.

    The first of ten draws that fits; the largest central box of an allowed ratio where none does.

    Args:
        random: One item an image.
        name: Of the draw.
        height: Of the image.
        width: Of the image.
        scale: Smallest and largest area, as a share of the image's.
        ratio: Smallest and largest width / height; its logarithm is uniform.

    Source:
        Szegedy et al. 2015, arXiv:1409.4842, section 6, in the form that torchvision gave it.
    """
    area = random.uniform(f"{name}/area", (_ATTEMPTS,), low=scale[0], high=scale[1]) * (height * width)
    low, high = math.log(ratio[0]), math.log(ratio[1])
    shape = random.uniform(f"{name}/ratio", (_ATTEMPTS,), low=low, high=high).exp()
    widths = (area * shape).sqrt().round().long()
    heights = (area / shape).sqrt().round().long()
    fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
    chosen = fits.long().argmax(1, keepdim=True)
    fallback = (min(height, round(width / ratio[0])), min(width, round(height * ratio[1])))
    found = fits.any(1)
    box_height = heights.gather(1, chosen)[:, 0].where(found, torch.tensor(fallback[0]))
    box_width = widths.gather(1, chosen)[:, 0].where(found, torch.tensor(fallback[1]))
    room = torch.stack((height - box_height, width - box_width), dim=1)
    corner = (random.uniform(f"{name}/corner", (2,)) * (room + 1)).long().minimum(room)
    corner = corner.where(found[:, None], room // 2)
    return torch.cat((corner, box_height[:, None], box_width[:, None]), dim=1)


def moved_boxes(
    boxes: Int[Tensor, "items 4"],
    random: ItemRandom,
    name: str,
    *,
    height: int,
    width: int,
    zoom: float,
    shift: float,
) -> Int[Tensor, "items 4"]:
    """Boxes of the same shape near given ones, larger or smaller, within the image.

    Args:
        boxes: Top, left, height, width.
        random: One item a box.
        name: Of the draw.
        height: Of the image.
        width: Of the image.
        zoom: Largest factor of a side, and of its inverse; >= 1. Its logarithm is uniform.
        shift: Largest way of the center, as a share of the given box's sides.
    """
    sides, image = boxes[:, 2:].float(), torch.tensor([height, width])
    reach = math.log(zoom)
    factor = random.uniform(f"{name}/zoom", low=-reach, high=reach).exp()[:, None]
    factor = factor.minimum((image / sides).amin(1, keepdim=True))
    size = (sides * factor).round().long().clamp_min(1).minimum(image)
    center = boxes[:, :2] + sides / 2 + random.uniform(f"{name}/shift", (2,), low=-shift, high=shift) * sides
    corner = (center - size / 2).round().long().clamp_min(0).minimum(image - size)
    return torch.cat((corner, size), dim=1)


def central_box(*, height: int, width: int) -> tuple[int, int, int, int]:
    """The largest square in the middle of an image: top, left, height, width."""
    side = min(height, width)
    return (height - side) // 2, (width - side) // 2, side, side


def cut(
    images: UInt8[Tensor, "batch frames 3 height width"],
    boxes: Int[Tensor, "batch 4"],
    *,
    size: int,
    flip: Tensor | None = None,
    bicubic: bool = False,
    chosen: Int[Tensor, "batch chosen"] | None = None,
) -> Float[Tensor, "batch cut_frames 3 size size"]:
    """Cuts each item's box out of its frames, resized with an antialiased filter and mirrored where `flip` says so.

    Args:
        images: Where the frames are.
        boxes: Top, left, height, width.
        size: Side of what is cut, in pixels.
        flip: Of each item.
        bicubic: Whether the filter is bicubic, and not bilinear.
        chosen: Frames to cut of each item, in the order in which they are given back; all of them where None.

    Returns:
        RGB in 0..1.
    """
    cuts = []
    mode = "bicubic" if bicubic else "bilinear"
    mirrored = [False] * len(images) if flip is None else flip.tolist()
    places = [None] * len(images) if chosen is None else chosen
    for item, (top, left, height, width), mirror, frames in zip(images, boxes.tolist(), mirrored, places, strict=True):
        box = item[:, :, top : top + height, left : left + width]
        box = (box if frames is None else box[frames]).contiguous(memory_format=torch.channels_last)
        resized = functional.interpolate(box, size=(size, size), mode=mode, antialias=True)
        cuts.append(resized.flip(-1) if mirror else resized)
    return torch.stack(cuts).float().div_(255)
