"""Frames of a clip, in order, all through one crop: for objectives that compare moments of a video."""

import torch
from jaxtyping import UInt8
from torch import Tensor

from mmssl.errors import ConfigError
from mmssl.functional.random import ItemRandom
from mmssl.views.crop import central_box, cut, random_boxes


class FramesView:
    """Gives `frames`, `[batch, num_frames, 3, size, size]`, from a random start in each clip.

    Args:
        size: Side of a frame in pixels.
        num_frames: Frames of each clip to take.
        frame_step: From one frame taken to the next.
        scale: Smallest and largest area of the crop, as a share of the frame's.
        flip_probability: Of a mirrored clip.
    """

    def __init__(
        self,
        *,
        size: int = 128,
        num_frames: int = 4,
        frame_step: int = 1,
        scale: tuple[float, float] = (0.3, 1.0),
        flip_probability: float = 0.5,
    ) -> None:
        self.size = size
        self.num_frames = num_frames
        self.frame_step = frame_step
        self.scale = scale
        self.flip_probability = flip_probability

    def __call__(self, clips: UInt8[Tensor, "batch frames 3 height width"], random: ItemRandom) -> dict[str, Tensor]:
        """The frames.

        Raises:
            ConfigError: If the clips are too short.
        """
        available, _, height, width = clips.shape[1:]
        span = (self.num_frames - 1) * self.frame_step + 1
        if span > available:
            raise ConfigError(
                f"the view `frames` needs clips of at least {span} frames (num_frames {self.num_frames}, frame_step "
                f"{self.frame_step}), these have {available}; decode longer clips or lower the two"
            )
        start = random.integers("start", high=available - span + 1)
        positions = start[:, None] + self.frame_step * torch.arange(self.num_frames)
        frames = clips[torch.arange(len(clips))[:, None], positions]
        boxes = random_boxes(random, "crop", height=height, width=width, scale=self.scale)
        flip = random.uniform("flip") < self.flip_probability
        return {"frames": cut(frames, boxes, size=self.size, flip=flip)}


class CenterView:
    """Gives `frames`, `[batch, frames, 3, size, size]`: all frames, their central square resized; nothing is random.

    Args:
        size: Side of a frame in pixels.
    """

    def __init__(self, *, size: int = 128) -> None:
        self.size = size

    def __call__(self, clips: UInt8[Tensor, "batch frames 3 height width"], random: ItemRandom) -> dict[str, Tensor]:
        """The frames."""
        box = torch.tensor(central_box(height=clips.shape[-2], width=clips.shape[-1]))
        return {"frames": cut(clips, box.expand(len(clips), 4), size=self.size)}
