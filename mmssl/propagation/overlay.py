"""Draws masks over frames: blended colors, outlines, and a legend of the objects."""

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from mmssl.media.image import davis_palette
from mmssl.propagation.masks import VOID

BLEND = 0.45
"""Share of an object's color inside its mask."""


class Overlay:
    """Draws masks over the frames of one video.

    Args:
        objects: Indices of the objects; the legend shows each in its color.
        size: Height and width of the frames.
    """

    def __init__(self, objects: tuple[int, ...], size: tuple[int, int]) -> None:
        self._colors = overlay_colors()
        self._outline = max(1, round(min(size) / 240))
        self._legend = _legend(objects, self._colors, size)

    def draw(self, frame: UInt8[Tensor, "3 height width"], mask: UInt8[Tensor, "height width"]) -> Tensor:
        """The frame with its mask drawn on it, uint8 RGB `[3, height, width]`."""
        picture = frame.permute(1, 2, 0).contiguous().numpy().copy()
        indices = np.where(mask.numpy() == VOID, 0, mask.numpy())
        inside = indices > 0
        colors = self._colors[indices[inside]]
        picture[inside] = (picture[inside] * (1 - BLEND) + colors * BLEND).astype(np.uint8)
        edge = _outline(indices, self._outline)
        picture[edge] = self._colors[indices[edge]]
        height, width = self._legend.shape[:2]
        picture[:height, :width] = self._legend
        return torch.from_numpy(picture).permute(2, 0, 1).contiguous()


def overlay_colors() -> NDArray[np.uint8]:
    """The DAVIS palette made lighter, so that its dark reds and blues show on a picture, uint8 `[256, 3]`."""
    colors: NDArray[np.uint8] = (64 + davis_palette().numpy() * 0.75).astype(np.uint8)
    return colors


def _outline(indices: NDArray[np.uint8], thickness: int) -> NDArray[np.bool_]:
    """Object pixels within `thickness` pixels, along rows or columns, of another index."""
    edge = np.zeros(indices.shape, dtype=bool)
    for shift in range(1, thickness + 1):
        for axis in (0, 1):
            before, after = (
                (slice(None),) * axis + (slice(None, -shift),),
                (slice(None),) * axis + (slice(shift, None),),
            )
            differs = indices[before] != indices[after]
            edge[before] |= differs
            edge[after] |= differs
    return edge & (indices > 0)


def _legend(objects: tuple[int, ...], colors: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A strip of color patches with the objects' indices, for the upper left corner, at most the frame's width."""
    line = max(10, min(size) // 24)
    font = ImageFont.load_default(size=line * 0.8)
    names = [f"{index}" for index in objects]
    widths = [int(line + font.getlength(name) + line) for name in names]
    picture = Image.new("RGB", (sum(widths) + line // 2, line + line // 2), (24, 24, 24))
    draw = ImageDraw.Draw(picture)
    x, quarter = line // 2, line // 4
    for index, name, width in zip(objects, names, widths, strict=True):
        fill = tuple(int(channel) for channel in colors[index])
        draw.rectangle((x, quarter + line // 8, x + line * 3 // 4, quarter + line * 7 // 8), fill=fill)
        draw.text((x + line, quarter + line // 2), name, fill=(255, 255, 255), font=font, anchor="lm")
        x += width
    return np.asarray(picture)[: size[0], : size[1]]
