"""A frame of a clip, one near it in time, and some far from it."""

import torch
from jaxtyping import UInt8
from torch import Tensor

from mmssl.errors import ConfigError
from mmssl.functional.random import ItemRandom
from mmssl.views.moments import MomentCut


class TimeContrastView:
    """Gives `frames`, `[batch, 2 + num_far, 3, size, size]`: the anchor, a frame near it in time, and far ones.

    Args:
        size: Side of a frame in pixels.
        num_far: Far frames of each clip.
        near_frames: The near frame is at most so many frames of the clip before or after the anchor.
        far_frames: Far frames are at least so many away from it.
        scale: See `MomentCut`, like all that follow.
        flip_probability: Of a mirrored clip.
        shift_pixels: Of each frame on its own.
        brightness: Of each frame on its own.

    Raises:
        ConfigError: If far frames may be nearer than the near one.
    """

    def __init__(
        self,
        *,
        size: int = 96,
        num_far: int = 2,
        near_frames: int = 1,
        far_frames: int = 2,
        scale: tuple[float, float] = (0.5, 1.0),
        flip_probability: float = 0.5,
        shift_pixels: int = 2,
        brightness: float = 0.1,
    ) -> None:
        if not 1 <= near_frames < far_frames:
            raise ConfigError(
                f"near_frames is {near_frames} and far_frames {far_frames}; set 1 <= near_frames < far_frames"
            )
        self.cut = MomentCut(
            size=size,
            scale=scale,
            flip_probability=flip_probability,
            shift_pixels=shift_pixels,
            brightness=brightness,
        )
        self.num_far = num_far
        self.near_frames = near_frames
        self.far_frames = far_frames

    def __call__(self, clips: UInt8[Tensor, "batch frames 3 height width"], random: ItemRandom) -> dict[str, Tensor]:
        """The frames.

        Raises:
            ConfigError: If the clips are too short.
        """
        available = clips.shape[1]
        needed = 2 * self.far_frames - 1 + self.num_far
        if available < needed:
            raise ConfigError(
                f"the view `time_contrast` needs clips of at least {needed} frames (far_frames {self.far_frames}, num_far "
                f"{self.num_far}), these have {available}; decode longer clips or lower the two"
            )
        anchor = random.integers("anchor", high=available)
        distance = (torch.arange(available) - anchor[:, None]).abs()
        is_near = (distance > 0) & (distance <= self.near_frames)
        draw = random.uniform("near or far", (available,))
        near = draw.masked_fill(~is_near, -1).argmax(1)
        far = draw.masked_fill(distance < self.far_frames, -1).topk(self.num_far, dim=1).indices
        return {"frames": self.cut(clips, torch.cat((anchor[:, None], near[:, None], far), dim=1), random)}
