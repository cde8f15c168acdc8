"""Video frames by decord, for the files on which it is proven to show the right ones."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from mmssl.errors import DecodeError, MediaError
from mmssl.media.av_video import AvVideo
from mmssl.media.containers import codec_name, open_container
from mmssl.media.pixels import resized
from mmssl.media.timeline import video_stream
from mmssl.media.video_file import Size, VideoFile

CONTAINERS = {"h264": ("mov", "matroska"), "vp9": ("matroska",), "mpeg4": ("avi",)}
"""Containers by codec in which decord may show the right frames; each file is still checked."""

LARGEST_TIME_DIFFERENCE_SECONDS = 1e-3
LARGEST_COLOR_DIFFERENCE = 2
"""In levels of 255, at any pixel of the frames that are compared; decoders that agree give 0."""

_NO_FAULTS = 1e-9
"""Part of the frames that decord may replace by their neighbors before it raises; 0 would let it go on."""


class DecordVideo(VideoFile):
    """A video file read by decord with one thread, after a check that it shows what PyAV shows.

    decord counts frames in decoding order, ignores edit lists and trusts every keyframe, so on some files it gives wrong
    frames without a word. A file is accepted only if its codec and container are among `CONTAINERS`; it is neither turned
    nor mirrored; the number of frames, their times (within `LARGEST_TIME_DIFFERENCE_SECONDS`) and the keyframes are the
    same for both; and the keyframe nearest to the middle, the frame after it, and the first one, read in this order, look
    the same (within `LARGEST_COLOR_DIFFERENCE`). Damage that decord notices is refused or raises, and as it decodes
    ahead, at whichever frame is read by then; damage that its decoder conceals it shows, unlike PyAV's reader.

    Full frames are resized by an antialiased filter. decord's bridge is set to its native arrays.

    Args:
        path: A video file.

    Raises:
        MediaError: If decord is not installed, the file cannot be read, or decord would not read it exactly.
    """

    def __init__(self, path: Path) -> None:
        decord = _decord(path)
        _check_format(path)
        self._failures = (decord.DECORDError, decord.DECORDLimitReachedError)
        with closing(AvVideo(path)) as exact:
            if not exact.orientation.is_upright:
                raise _refusal(path, "turned or mirrored video is not read by it")
            if float(exact.pts_seconds[0]) < 0:
                raise _refusal(path, f"the first frame is presented at {float(exact.pts_seconds[0]):.3f} s")
            self._reader = _open(decord, path)
            super().__init__(path, size=exact.size, pts_seconds=exact.pts_seconds, end_seconds=exact.end_seconds)
            self._check_times(exact.keyframes)
            self._check_pictures(exact)

    def _check_times(self, keyframes: Sequence[int]) -> None:
        if len(self._reader) != self.num_frames:
            raise _refusal(self.path, f"it counts {len(self._reader)} frames, but {self.num_frames} are presented")
        theirs = self._reader.get_frame_timestamp(range(self.num_frames))[:, 0].astype(np.float64)
        ours = self.pts_seconds.numpy()
        rounding = np.abs(ours) * np.finfo(np.float32).eps
        wrong = np.flatnonzero(~(np.abs(theirs - ours) <= LARGEST_TIME_DIFFERENCE_SECONDS + rounding))
        if len(wrong):
            first = int(wrong[0])
            raise _refusal(
                self.path, f"it has frame {first} at {theirs[first]:.6g} s, which is presented at {ours[first]:.6g} s"
            )
        if list(self._reader.get_key_indices()) != list(keyframes):
            raise _refusal(self.path, "it would begin at other frames than the keyframes")

    def _check_pictures(self, exact: AvVideo) -> None:
        middle = self.num_frames // 2
        nearest = min(exact.keyframes, key=lambda frame: abs(frame - middle))
        for index in (nearest, min(nearest + 1, self.num_frames - 1), 0):
            try:
                theirs = self._decode(index)
            except DecodeError as error:
                raise _refusal(self.path, f"it cannot decode frame {index}") from error
            ours = exact.frames([index])[0].permute(1, 2, 0)
            if theirs.shape != ours.shape:
                raise _refusal(self.path, f"its frames are {tuple(theirs.shape)}, they should be {tuple(ours.shape)}")
            difference = int((theirs.to(torch.int16) - ours).abs().max())
            if difference > LARGEST_COLOR_DIFFERENCE:
                raise _refusal(self.path, f"it shows another picture as frame {index} (off by {difference} of 255)")

    def _decode(self, index: int) -> UInt8[Tensor, "h w 3"]:
        if self._reader is None:
            raise DecodeError(f"{self.path}: is closed")
        try:
            return torch.from_numpy(self._reader[index].asnumpy())
        except self._failures as error:
            raise DecodeError(
                f"{self.path}: frame {index} of {self.num_frames} cannot be decoded by decord; backend 'av' may tell more"
            ) from error

    def _read(self, indices: Sequence[int], size: Size | None) -> Iterator[tuple[int, UInt8[Tensor, "h w 3"]]]:
        for index in indices:
            yield index, resized(self._decode(index).permute(2, 0, 1), size or self.size).permute(1, 2, 0)

    def _read_range(self, start: int, stop: int, size: Size | None) -> Iterator[tuple[int, UInt8[Tensor, "h w 3"]]]:
        return self._read(range(start, stop), size)

    def close(self) -> None:
        """Lets go of the file."""
        self._reader = None


def _decord(path: Path) -> ModuleType:
    """The module decord; torch and PyAV are loaded before it, because it breaks them when it comes first."""
    try:
        decord = import_module("decord")
    except (ImportError, OSError, RuntimeError) as error:
        raise MediaError(
            f"{path}: decord cannot be loaded here ({error}); it is made for x86-64 alone; use backend 'av' or 'auto'"
        ) from error
    decord.bridge.set_bridge("native")
    return decord


def _check_format(path: Path) -> None:
    with open_container(path) as container:
        codec = codec_name(video_stream(container, path))
        names = container.format.name.split(",")
        if not any(name in CONTAINERS.get(codec, ()) for name in names):
            raise _refusal(path, f"it is not trusted with {codec} in {names[0]}")


def _open(decord: ModuleType, path: Path) -> Any:
    try:
        return decord.VideoReader(f"file:{path}", ctx=decord.cpu(0), num_threads=1, fault_tol=_NO_FAULTS)
    except (decord.DECORDError, RuntimeError, AssertionError) as error:
        raise _refusal(path, "it cannot open the file") from error


def _refusal(path: Path, reason: str) -> MediaError:
    return MediaError(f"{path}: decord does not read this file exactly: {reason}; use backend 'av' or 'auto'")
