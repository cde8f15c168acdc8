"""Frames of a clip in order, each cut into a grid of small overlapping patches: for walks over patches."""

import torch
from jaxtyping import UInt8
from torch import Tensor

from mmssl.errors import ConfigError
from mmssl.functional.random import ItemRandom
from mmssl.views.frames import FramesView


class PatchesView:
    """Gives `frames` as `FramesView` does, `patches` and `draw`.

    `patches` is `[batch, num_frames, nodes, 3, patch_size, patch_size]`, row by row of a grid with `patch_step` pixels
    from one patch to the next. Each patch is moved by a few pixels of its own (`jitter`), so that its edge does not tell
    which it is. `draw` is one whole number an item, the seed of its dropped edges.

    Args:
        size: Side of a frame in pixels.
        num_frames: Frames of each clip to take.
        frame_step: From one frame taken to the next.
        scale: Smallest and largest area of the crop that all frames of a clip share, as a share of the frame's.
        flip_probability: Of a mirrored clip.
        patch_size: Side of a patch in pixels; a quarter of the frame's where not given, as in the paper.
        patch_step: From one patch of the grid to the next; half a patch where not given.
        jitter: Largest move of a patch in pixels, within the frame; an eighth of a patch where not given.

    Raises:
        ConfigError: If the frame holds fewer than two patches a side.

    Source:
        Jabri et al. 2020, arXiv:2006.14613, section 3.1: 49 patches of 64 x 64 pixels of a frame of 256 x 256.
    """

    def __init__(
        self,
        *,
        size: int = 256,
        num_frames: int = 4,
        frame_step: int = 1,
        scale: tuple[float, float] = (0.8, 0.95),
        flip_probability: float = 0.5,
        patch_size: int | None = None,
        patch_step: int | None = None,
        jitter: int | None = None,
    ) -> None:
        self.patch_size = patch_size or max(1, size // 4)
        self.patch_step = patch_step or max(1, self.patch_size // 2)
        self.jitter = self.patch_size // 8 if jitter is None else jitter
        self.side = (size - self.patch_size) // self.patch_step + 1
        if self.side < 2:
            raise ConfigError(
                f"a frame of {size} pixels holds {max(0, self.side)} patch(es) of {self.patch_size} pixels a side; "
                "at least 2 are needed: lower patch_size"
            )
        self.size = size
        self.frames = FramesView(
            size=size, num_frames=num_frames, frame_step=frame_step, scale=scale, flip_probability=flip_probability
        )

    def __call__(self, clips: UInt8[Tensor, "batch frames 3 height width"], random: ItemRandom) -> dict[str, Tensor]:
        """The patches and the frames they are cut from.

        Raises:
            ConfigError: If the clips are too short.
        """
        frames = self.frames(clips, random)["frames"]
        shape = (frames.shape[1], self.side**2)
        places = torch.arange(self.side) * self.patch_step
        grid = torch.stack((places.repeat_interleave(self.side), places.repeat(self.side)), dim=1)
        move = random.integers("jitter", (*shape, 2), high=2 * self.jitter + 1) - self.jitter
        corners = (grid + move).clamp(0, self.size - self.patch_size)
        offsets = torch.arange(self.patch_size)
        down, across = (corners[..., axis, None] + offsets for axis in (0, 1))
        item = torch.arange(len(frames))[:, None, None, None, None]
        frame = torch.arange(shape[0])[:, None, None, None]
        patches = frames.movedim(2, -1)[item, frame, down[..., :, None], across[..., None, :]].movedim(-1, 3)
        draw = random.integers("draw", high=2**31)
        return {"frames": frames, "patches": patches.contiguous(), "draw": draw}
