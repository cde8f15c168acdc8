"""Draws labels over frames: masks, boxes, points with skeletons, and a legend of the objects; and a sheet of such frames."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Integer, UInt8
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from mmssl.media.image import davis_palette
from mmssl.propagation.video_labels import LabelObject

BLEND = 0.45
"""Share of an object's color inside its mask."""

Point = tuple[float, ...] | None


class Overlay:
    """Draws labels over the frames of one video.

    Args:
        objects: The legend shows each in its color; objects that are lost on a frame are gray there.
        size: Height and width of the frames.
    """

    def __init__(self, objects: Sequence[LabelObject], size: tuple[int, int]) -> None:
        self._objects, self._size = tuple(objects), size
        self._colors = {each.id: color_of(each) for each in objects}
        self._line = max(1, round(min(size) / 240))
        self._legends: dict[frozenset[int], NDArray[np.uint8]] = {}

    def draw(
        self,
        frame: UInt8[Tensor, "3 height width"],
        mask: Integer[Tensor, "height width"] | None = None,
        *,
        boxes: Mapping[int, Sequence[float]] | None = None,
        points: Mapping[int, Sequence[Point]] | None = None,
        lost: frozenset[int] = frozenset(),
    ) -> UInt8[Tensor, "3 height width"]:
        """The frame with labels drawn on it.

        Args:
            frame: RGB.
            mask: Object id of each pixel; ids of no object are not drawn.
            boxes: Left, top, right and bottom edge by object id.
            points: x and y (and what follows, which is not drawn) of each point by object id.
            lost: Ids of the objects that are gray in the legend.
        """
        picture = frame.permute(1, 2, 0).contiguous().numpy().copy()
        if mask is not None:
            self._draw_mask(picture, mask.numpy())
        if boxes or points:
            image = Image.fromarray(picture)
            pen = ImageDraw.Draw(image)
            for key, (left, top, right, bottom) in (boxes or {}).items():
                edges = (left, top, max(left, right - 1), max(top, bottom - 1))
                pen.rectangle(edges, outline=self._colors[key], width=2 * self._line)
            for each in self._objects:
                self._draw_points(pen, each, (points or {}).get(each.id, ()))
            picture = np.array(image)
        legend = self._legend(lost)
        height, width = legend.shape[:2]
        picture[:height, :width] = legend
        return torch.from_numpy(picture).permute(2, 0, 1).contiguous()

    def _draw_mask(self, picture: NDArray[np.uint8], mask: NDArray) -> None:
        places = {key: place for place, key in enumerate(self._colors, start=1)}
        table = np.zeros(int(mask.max()) + 1, dtype=np.int64)
        for key, place in places.items():
            if key < len(table):
                table[key] = place
        indices = table[mask]
        colors = np.array([(0, 0, 0), *self._colors.values()], dtype=np.uint8)
        inside = indices > 0
        picture[inside] = (picture[inside] * (1 - BLEND) + colors[indices[inside]] * BLEND).astype(np.uint8)
        edge = _outline(indices, self._line)
        picture[edge] = colors[indices[edge]]

    def _draw_points(self, pen: ImageDraw.ImageDraw, each: LabelObject, points: Sequence[Point]) -> None:
        radius = 2 * self._line
        for first, second in each.skeleton if points else ():
            if (a := points[first]) is not None and (b := points[second]) is not None:
                pen.line((a[0], a[1], b[0], b[1]), fill=self._colors[each.id], width=self._line)
        for point in points:
            if point is not None:
                x, y = point[:2]
                edges = (x - radius - 0.5, y - radius - 0.5, x + radius - 0.5, y + radius - 0.5)
                pen.ellipse(edges, fill=self._colors[each.id], outline=(255, 255, 255))

    def _legend(self, lost: frozenset[int]) -> NDArray[np.uint8]:
        if lost not in self._legends:
            if len(self._legends) > 64:
                self._legends.clear()
            colors = {key: (96, 96, 96) if key in lost else color for key, color in self._colors.items()}
            names = [each.name for each in self._objects]
            self._legends[lost] = _draw_legend(names, list(colors.values()), self._size)
        return self._legends[lost]


def color_of(each: LabelObject) -> tuple[int, int, int]:
    """The color that an object was given, or that of its id."""
    if each.color is not None:
        return each.color
    red, green, blue = overlay_colors()[(each.id - 1) % 254 + 1].tolist()
    return red, green, blue


def overlay_colors() -> NDArray[np.uint8]:
    """The DAVIS palette made lighter, so that its dark reds and blues show on a picture, uint8 `[256, 3]`."""
    colors: NDArray[np.uint8] = (64 + davis_palette().numpy() * 0.75).astype(np.uint8)
    return colors


def contact_sheet(
    frames: Sequence[UInt8[Tensor, "3 height width"]], captions: Sequence[str], *, columns: int = 4
) -> UInt8[Tensor, "3 sheet_height sheet_width"]:
    """Pictures of one size in rows, each with a line of text below."""
    height, width = frames[0].shape[1:]
    columns = min(columns, len(frames))
    text = max(12, width // 20)
    rows = math.ceil(len(frames) / columns)
    sheet = Image.new("RGB", (columns * (width + 4) + 4, rows * (height + text + 8) + 4), (24, 24, 24))
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=text * 0.8)
    for place, (frame, caption) in enumerate(zip(frames, captions, strict=True)):
        x, y = 4 + place % columns * (width + 4), 4 + place // columns * (height + text + 8)
        sheet.paste(Image.fromarray(frame.permute(1, 2, 0).contiguous().numpy()), (x, y))
        pen.text((x + 2, y + height + 2 + text / 2), caption, fill=(255, 255, 255), font=font, anchor="lm")
    return torch.from_numpy(np.array(sheet)).permute(2, 0, 1).contiguous()


def _outline(indices: NDArray[np.int64], thickness: int) -> NDArray[np.bool_]:
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


def _draw_legend(
    names: Sequence[str], colors: Sequence[tuple[int, int, int]], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Color patches with names for the upper left corner, in as many lines as they need, at most the frame's size."""
    line = max(10, min(size) // 24)
    font = ImageFont.load_default(size=line * 0.8)
    places, x, row = [], line // 2, 0
    for name in names:
        width = int(line + font.getlength(name) + line)
        if x > line // 2 and x + width > size[1]:
            x, row = line // 2, row + 1
        places.append((x, row))
        x += width
    right = max(x + int(line + font.getlength(name)) for (x, _), name in zip(places, names, strict=True))
    picture = Image.new("RGB", (right + line // 2, (row + 1) * line + line // 2), (24, 24, 24))
    pen = ImageDraw.Draw(picture)
    for (x, row), name, color in zip(places, names, colors, strict=True):
        top = line // 4 + row * line
        pen.rectangle((x, top + line // 8, x + line * 3 // 4, top + line * 7 // 8), fill=color)
        pen.text((x + line, top + line // 2), name, fill=(255, 255, 255), font=font, anchor="lm")
    return np.asarray(picture)[: size[0], : size[1]]
