"""Frames of a clip in their order in time, with gaps of random length: for objectives that ask for the order."""

import torch
from jaxtyping import UInt8
from torch import Tensor

from mmssl.errors import ConfigError
from mmssl.functional.random import ItemRandom
from mmssl.views.moments import MomentCut


class OrderedFramesView:
    """Gives `frames`, `[batch, num_frames, 3, size, size]`, ascending in time.

    Decode the clips with the sampler `motion`, so that there is an order to see.

    Args:
        size: Side of a frame in pixels.
        num_frames: Frames of each clip to take.
        max_step: Each gap from one frame to the next is drawn from 1 to this many frames of the clip; where not given, the
            most that the clip has room for.
        scale: See `MomentCut`, like all that follow.
        flip_probability: Of a mirrored clip.
        shift_pixels: Of each frame on its own.
        brightness: Of each frame on its own.
    """

    def __init__(
        self,
        *,
        size: int = 96,
        num_frames: int = 5,
        max_step: int | None = None,
        scale: tuple[float, float] = (0.5, 1.0),
        flip_probability: float = 0.5,
        shift_pixels: int = 2,
        brightness: float = 0.1,
    ) -> None:
        self.cut = MomentCut(
            size=size,
            scale=scale,
            flip_probability=flip_probability,
            shift_pixels=shift_pixels,
            brightness=brightness,
        )
        self.num_frames = num_frames
        self.max_step = max_step

    def __call__(self, clips: UInt8[Tensor, "batch frames 3 height width"], random: ItemRandom) -> dict[str, Tensor]:
        """The frames.

        Raises:
            ConfigError: If the clips are too short.
        """
        available, gaps = clips.shape[1], self.num_frames - 1
        max_step = self.max_step or max(1, (available - 1) // gaps)
        if gaps * max_step + 1 > available:
            raise ConfigError(
                f"the view `ordered_frames` needs clips of at least {gaps * max_step + 1} frames (num_frames "
                f"{self.num_frames}, max_step {max_step}), these have {available}; decode longer clips or lower the two"
            )
        steps = random.integers("steps", (gaps,), high=max_step) + 1
        offsets = torch.cat((torch.zeros_like(steps[:, :1]), steps.cumsum(1)), dim=1)
        room = available - 1 - offsets[:, -1]
        start = (random.uniform("start") * (room + 1)).long().minimum(room)
        return {"frames": self.cut(clips, start[:, None] + offsets, random)}
