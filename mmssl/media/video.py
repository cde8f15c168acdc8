"""Opening a video: a file, an animated picture, or a folder of numbered images."""

from collections.abc import Callable
from pathlib import Path

from mmssl.errors import MediaError
from mmssl.media.av_video import AvVideo
from mmssl.media.image_sequence import ImageSequence
from mmssl.media.video_file import Size, VideoFile

__all__ = ["BACKENDS", "Size", "VideoFile", "open_video"]

BACKENDS: dict[str, Callable[[Path], VideoFile]] = {"av": AvVideo, "images": ImageSequence}
"""Readers by name; `auto` is the folder reader for folders and PyAV for files."""


def open_video(path: Path, *, backend: str = "auto") -> VideoFile:
    """Opens a video for exact random access.

    Args:
        path: A video file, an animated GIF, or a folder of numbered images (shown at 25 frames a second).
        backend: `auto`, or a name of `BACKENDS`.

    Raises:
        MediaError: If the path is missing, is no video, or cannot be read.
    """
    if backend != "auto" and backend not in BACKENDS:
        raise MediaError(f"backend {backend!r} is not known; backends are {['auto', *BACKENDS]}")
    name = ("images" if path.is_dir() else "av") if backend == "auto" else backend
    return BACKENDS[name](path)
