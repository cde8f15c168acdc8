"""Turning and mirroring that a video file asks for when its frames are shown."""

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from av.sidedata.sidedata import SideDataContainer
from av.video.frame import VideoFrame
from jaxtyping import UInt8
from torch import Tensor

from mmssl.errors import MediaError

_LEAST_PURITY = 0.02
"""A quarter turn's matrix has zeros where a slanted one has numbers; up to this part of the largest counts as zero."""


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways to lay a picture on the screen's grid: transposed or not, then mirrored.

    Args:
        is_transposed: Rows become columns.
        is_upside_down: Mirrored from top to bottom, after transposing.
        is_mirrored: Mirrored from left to right, after transposing.
    """

    is_transposed: bool = False
    is_upside_down: bool = False
    is_mirrored: bool = False

    @property
    def is_upright(self) -> bool:
        """Whether pictures are shown as they are stored."""
        return self == Orientation()

    def size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width on the screen of a stored picture, or the other way round."""
        return size[::-1] if self.is_transposed else size

    def __call__(self, pixels: UInt8[Tensor, "height width 3"]) -> UInt8[Tensor, "h w 3"]:
        """The picture as shown."""
        if self.is_transposed:
            pixels = pixels.transpose(0, 1)
        mirrored = [axis for axis, is_flipped in enumerate((self.is_upside_down, self.is_mirrored)) if is_flipped]
        return torch.flip(pixels, mirrored) if mirrored else pixels


def orientation_of(frame: VideoFrame) -> Orientation:
    """The orientation that a frame's display matrix asks for.

    The matrix holds a, b, 0, c, d, 0, x, y, 1 in fixed point: the stored pixel (x, y) is shown at (a x + c y, b x + d y).

    Raises:
        MediaError: If it asks for other than quarter turns and mirroring.
    """
    side_data = cast(SideDataContainer, frame.side_data)
    if "DISPLAYMATRIX" not in side_data:
        return Orientation()
    a, b, _, c, d = np.frombuffer(bytes(side_data["DISPLAYMATRIX"]), np.int32)[:5].astype(np.float64)
    straight, crossed = min(abs(a), abs(d)), min(abs(b), abs(c))
    if max(abs(b), abs(c)) <= _LEAST_PURITY * straight:
        return Orientation(False, bool(d < 0), bool(a < 0))
    if max(abs(a), abs(d)) <= _LEAST_PURITY * crossed:
        return Orientation(True, bool(b < 0), bool(c < 0))
    raise MediaError(
        f"its display matrix ({a:g} {b:g} {c:g} {d:g}) is not made of quarter turns and mirroring; "
        "write it again without that matrix"
    )
