"""What every reader of video offers, whatever it reads from."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import torch
from jaxtyping import Float64, UInt8
from torch import Tensor

from mmssl.errors import DecodeError

Size = tuple[int, int]
"""Height and width in pixels."""


class VideoFile(ABC):
    """An open video: frame `i` is the i-th presented frame, however it is reached.

    Frames are uint8 RGB, rotation and mirroring applied, pixels as stored (a sample aspect ratio is not applied). The
    tensors' memory holds the three colors of a pixel side by side, so that `[.., 3, height, width]` is a view of it.

    Args:
        path: The file or folder.
        size: Height and width of the frames as presented.
        pts_seconds: Time each frame is presented, on the file's own time axis.
        end_seconds: Time at which the last frame ends.
        num_missing_frames: Frames that the file's header promises and the file, cut off, does not hold; MP4, MOV, AVI and
            Matroska tell.
    """

    def __init__(
        self,
        path: Path,
        *,
        size: Size,
        pts_seconds: Float64[Tensor, " frames"],
        end_seconds: float,
        num_missing_frames: int = 0,
    ) -> None:
        self.path = path
        self.size = size
        self.pts_seconds = pts_seconds
        self.end_seconds = end_seconds
        self.num_missing_frames = num_missing_frames

    @property
    def num_frames(self) -> int:
        """Number of presented frames, at least 1."""
        return len(self.pts_seconds)

    @property
    def duration_seconds(self) -> float:
        """From the first frame's presentation to the last one's end."""
        return self.end_seconds - float(self.pts_seconds[0])

    @property
    def fps(self) -> float:
        """Mean presented frames a second; 0 for a video without duration."""
        return self.num_frames / self.duration_seconds if self.duration_seconds > 0 else 0.0

    def frames(self, indices: Sequence[int], *, size: Size | None = None) -> UInt8[Tensor, "frames 3 h w"]:
        """Frames by index, in the order asked for.

        Args:
            indices: From 0 to `num_frames - 1`, in any order; repeats are decoded once.
            size: Height and width to resize to by an antialiased filter; None for the presented size.

        Raises:
            DecodeError: If an index is outside the video, or a frame cannot be decoded.
        """
        wanted = [int(index) for index in indices]
        for index in wanted:
            if not 0 <= index < self.num_frames:
                raise DecodeError(
                    f"{self.path}: asked for frame {index}, but it has {self.num_frames} frames, "
                    f"0 to {self.num_frames - 1}"
                )
        height, width = size or self.size
        pixels = torch.empty((len(wanted), height, width, 3), dtype=torch.uint8)
        places: dict[int, list[int]] = {}
        for place, index in enumerate(wanted):
            places.setdefault(index, []).append(place)
        memory = pixels.numpy()
        for index, frame in self._read(sorted(places), size):
            for place in places[index]:
                np.copyto(memory[place], frame.numpy())
        return pixels.permute(0, 3, 1, 2)

    def iterate(
        self, *, start: int = 0, stop: int | None = None, size: Size | None = None
    ) -> Iterator[tuple[int, UInt8[Tensor, "3 h w"]]]:
        """Frames in order with their indices, a few in memory at a time.

        Args:
            start: First frame.
            stop: Frame to end before; None for the last frame included.
            size: As in `frames`.

        Raises:
            DecodeError: If a frame cannot be decoded, or the range reaches outside the video.
        """
        end = self.num_frames if stop is None else stop
        if not 0 <= start <= end <= self.num_frames:
            raise DecodeError(f"{self.path}: asked for frames {start} to {end}, but it has {self.num_frames} frames")
        for index, frame in self._read_range(start, end, size):
            yield index, frame.permute(2, 0, 1)

    @abstractmethod
    def _read(self, indices: Sequence[int], size: Size | None) -> Iterator[tuple[int, UInt8[Tensor, "h w 3"]]]:
        """Each of some ascending, distinct, valid indices with its frame."""

    @abstractmethod
    def _read_range(self, start: int, stop: int, size: Size | None) -> Iterator[tuple[int, UInt8[Tensor, "h w 3"]]]:
        """Each frame of a valid range, without disturbing `_read`."""

    @abstractmethod
    def close(self) -> None:
        """Lets go of the file."""

    def __enter__(self) -> "VideoFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
