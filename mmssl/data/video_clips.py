"""Clips of one video, decoded once and kept in memory: for learning from a single video."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from mmssl.config import digest
from mmssl.data.dataset import ClipItem, check_positions
from mmssl.errors import DecodeError
from mmssl.media.video import open_video


class VideoClips:
    """Clips of frames a fixed time apart, their starts spread evenly over one video; a `ClipSource`.

    Args:
        video: A video file, or a folder of numbered images.
        num_frames: Frames of a clip.
        seconds_between_frames: From one frame of a clip to the next, about: a whole number of frames of the video, at
            least one.
        short_side: Pixels of the shorter side that frames are reduced to; smaller ones stay as they are.
        max_clips: Most clips to take; a shorter video gives one for each frame that a clip can start at.

    Raises:
        MediaError: If the video cannot be read.
        DecodeError: If the video has fewer frames than a clip.
    """

    def __init__(
        self,
        video: Path,
        *,
        num_frames: int = 2,
        seconds_between_frames: float = 0.12,
        short_side: int = 256,
        max_clips: int = 256,
    ) -> None:
        with open_video(video) as file:
            if file.num_frames < num_frames:
                raise DecodeError(f"{video}: has {file.num_frames} frame(s), a clip needs {num_frames}")
            last = file.num_frames - 1
            step = max(1, round(seconds_between_frames * file.fps))
            step = min(step, last // (num_frames - 1)) if num_frames > 1 else 1
            room = last - (num_frames - 1) * step + 1
            count = min(room, max_clips)
            starts = [number * room // count for number in range(count)]
            windows = [[start + step * place for place in range(num_frames)] for start in starts]
            wanted = sorted({frame for window in windows for frame in window})
            scale = min(1.0, short_side / min(file.size))
            size = (round(file.size[0] * scale), round(file.size[1] * scale))
            self._frames = file.frames(wanted, size=size).contiguous()
            times = file.pts_seconds.tolist()
        place = {frame: number for number, frame in enumerate(wanted)}
        self._windows = torch.tensor([[place[frame] for frame in window] for window in windows])
        self._items = [
            ClipItem(
                f"{video.name}#{number}", video.name, None, None, video.name, None, tuple(times[at] for at in window)
            )
            for number, window in enumerate(windows)
        ]
        content = hashlib.blake2b(self._frames.numpy().data, digest_size=16).hexdigest()
        self._digest = digest([content, windows])

    def __len__(self) -> int:
        return len(self._windows)

    @property
    def items(self) -> Sequence[ClipItem]:
        """One for each clip."""
        return self._items

    @property
    def digest(self) -> str:
        """Names the pixels and how they make clips."""
        return self._digest

    def clips(self, indices: Sequence[int], *, epoch: int = 0) -> UInt8[Tensor, "batch frames 3 height width"]:
        """The clips at some positions.

        Args:
            indices: Positions, any order, repeats allowed.
            epoch: Has no effect.

        Raises:
            IndexError: If there is no such clip.
        """
        check_positions(indices, len(self))
        return self._frames[self._windows[list(indices)]]
