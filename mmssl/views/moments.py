"""Frames of a clip as moments to tell apart: one crop for all, but each frame a little shifted and lit its own way.

Where frames lie in a clip must not show in anything but what happens in it. A slow drift of the camera, of the light or of
the codec's quality would give it away; small shifts and changes of brightness of each frame on its own hide it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from mmssl.functional.random import ItemRandom
from mmssl.views.crop import cut, random_boxes


@dataclass(frozen=True)
class MomentCut:
    """Takes frames out of clips.

    Args:
        size: Side of a frame in pixels.
        scale: Smallest and largest area of the crop, as a share of the frame's.
        flip_probability: Of a mirrored clip.
        shift_pixels: Each frame lies up to so many pixels of the result off its place, both ways.
        brightness: Each frame is up to this share brighter or darker.
    """

    size: int
    scale: tuple[float, float]
    flip_probability: float
    shift_pixels: int
    brightness: float

    def __call__(
        self,
        clips: UInt8[Tensor, "batch frames 3 height width"],
        positions: Int[Tensor, "batch moments"],
        random: ItemRandom,
    ) -> Float[Tensor, "batch moments 3 size size"]:
        """The frames, RGB in 0..1.

        Args:
            clips: Where the frames are.
            positions: Of the frames to take, in the order in which they are given back.
            random: One item a clip.
        """
        size, shift = self.size, self.shift_pixels
        batch, moments = positions.shape
        boxes = random_boxes(random, "crop", height=clips.shape[-2], width=clips.shape[-1], scale=self.scale)
        flip = random.uniform("flip") < self.flip_probability
        wide = cut(clips, boxes, size=size + 2 * shift, flip=flip, chosen=positions)
        if shift:
            corners = random.integers("shift", (moments, 2), high=2 * shift + 1).flatten(0, 1).tolist()
            shifted = [
                frame[:, top : top + size, left : left + size]
                for frame, (top, left) in zip(wide.flatten(0, 1), corners, strict=True)
            ]
            wide = torch.stack(shifted).reshape(batch, moments, 3, size, size)
        light = random.uniform("light", (moments,), low=1 - self.brightness, high=1 + self.brightness)
        return (wide * light[:, :, None, None, None]).clamp_(0, 1)
