"""Opening a video: a file, an animated picture, or a folder of numbered images."""

from collections.abc import Callable
from pathlib import Path

from mmssl.errors import MediaError
from mmssl.media.av_video import AvVideo
from mmssl.media.decord_video import DecordVideo
from mmssl.media.image_sequence import ImageSequence
from mmssl.media.video_file import Size, VideoFile

__all__ = ["BACKENDS", "Size", "VideoFile", "open_video"]

BACKENDS: dict[str, Callable[[Path], VideoFile]] = {"av": AvVideo, "decord": DecordVideo, "images": ImageSequence}
"""Readers by name; `auto` is the folder reader for folders and PyAV for files.

PyAV reads every file. decord reads only those that `DecordVideo` finds it exact on, and checking that costs more than decord
saves: by `tests/benchmarks/decode.py` with one thread, on eight real H.264 clips of 60 to 310 frames, it gave 0.37 to 0.57
times as many frames a second as PyAV or bare decord, whichever was faster, in order, and 0.45 to 0.83 times as many where
16 frames of a clip were wanted; `av` gives about as many in order and more where frames are sampled (docs/figures.md).
"""


def open_video(path: Path, *, backend: str = "auto") -> VideoFile:
    """Opens a video for exact random access.

    Args:
        path: A video file, an animated GIF, or a folder of numbered images (shown at 25 frames a second).
        backend: `auto`, or a name of `BACKENDS`; `decord` refuses files that it would not read exactly.

    Raises:
        MediaError: If the path is missing, is no video, or cannot be read by the backend.
    """
    if backend != "auto" and backend not in BACKENDS:
        raise MediaError(f"backend {backend!r} is not known; backends are {['auto', *BACKENDS]}")
    name = ("images" if path.is_dir() else "av") if backend == "auto" else backend
    return BACKENDS[name](path)
