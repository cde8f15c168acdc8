"""Frames of a clip in order, each through a crop of its own, and the first once more: for walks over feature maps."""

import torch
from jaxtyping import UInt8
from torch import Tensor

from mmssl.errors import ConfigError
from mmssl.functional.random import ItemRandom
from mmssl.views.color_jitter import jitter_colors
from mmssl.views.crop import cut, random_boxes


class SeparateCropsView:
    """Gives `frames`, `boxes` and `draw`.

    `frames` is `[batch, num_frames + 1, 3, size, size]`: the frames, then the first of them through another crop. As every
    crop is known, so is where a place of the first view lies in the last; as they all differ, the place of a cell in its
    view says nothing about where it is found again. `boxes` is `[batch, num_frames + 1, 5]`: top, left, height and width
    in pixels of the clip, and 1 for a mirrored crop. `draw` is one whole number an item, the seed of its dropped edges.

    Args:
        size: Side of a crop in pixels.
        num_frames: Frames of each clip to take; 1 for two crops of one frame.
        frame_step: From one frame taken to the next.
        scale: Smallest and largest area of a crop, as a share of the frame's.
        flip_probability: Of a mirrored crop.
        jitter_strength: See `jitter_colors`; each crop gets colors of its own.
        grey_probability: Of a grey crop.
    """

    def __init__(
        self,
        *,
        size: int = 128,
        num_frames: int = 3,
        frame_step: int = 1,
        scale: tuple[float, float] = (0.3, 1.0),
        flip_probability: float = 0.5,
        jitter_strength: float = 0.5,
        grey_probability: float = 0.1,
    ) -> None:
        self.size = size
        self.num_frames = num_frames
        self.frame_step = frame_step
        self.scale = scale
        self.flip_probability = flip_probability
        self.jitter_strength = jitter_strength
        self.grey_probability = grey_probability

    def __call__(self, clips: UInt8[Tensor, "batch frames 3 height width"], random: ItemRandom) -> dict[str, Tensor]:
        """The crops.

        Raises:
            ConfigError: If the clips are too short.
        """
        available, _, height, width = clips.shape[1:]
        span = (self.num_frames - 1) * self.frame_step + 1
        if span > available:
            raise ConfigError(
                f"the view `separate_crops` needs clips of at least {span} frames (num_frames {self.num_frames}, "
                f"frame_step {self.frame_step}), these have {available}; decode longer clips or lower the two"
            )
        start = random.integers("start", high=available - span + 1)
        frames, boxes = [], []
        for crop in range(self.num_frames + 1):
            name = f"crop {crop}"
            chosen = start + self.frame_step * (crop % self.num_frames)
            box = random_boxes(random, name, height=height, width=width, scale=self.scale)
            flip = random.uniform(f"{name}/flip") < self.flip_probability
            images = cut(clips, box, size=self.size, flip=flip, chosen=chosen[:, None])[:, 0]
            frames.append(
                jitter_colors(
                    images, random, name, strength=self.jitter_strength, grey_probability=self.grey_probability
                )
            )
            boxes.append(torch.cat((box, flip[:, None]), dim=1).float())
        draw = random.integers("draw", high=2**31)
        return {"frames": torch.stack(frames, dim=1), "boxes": torch.stack(boxes, dim=1), "draw": draw}
