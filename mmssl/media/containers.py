"""Opening a media file with FFmpeg, and saying in one line what is wrong with it."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import av.error
from av.container import InputContainer

from mmssl.errors import DecodeError, MediaError

MAX_PIXELS = 2**27
"""Largest picture that is decoded, height x width: a header that claims more is refused before memory is taken."""

FORMATS = (
    "3gp,aac,ac3,aiff,amr,ape,asf,au,av1,avi,caf,dnxhd,dts,dv,eac3,flac,flv,gif,h261,h263,h264,hevc,ivf,m4v,matroska,mj2,"
    "mjpeg,mov,mp3,mp4,mpeg,mpegts,mpegvideo,mxf,nut,obu,ogg,rm,vc1,voc,w64,wav,webm,wv,yuv4mpegpipe"
)
"""Demuxers that may open a file. Playlists and scripts, which would open other files or the network, are not among them."""


def check_readable(path: Path) -> None:
    """Refuses what is no regular file with content.

    Raises:
        MediaError: If the path is missing, unreadable, empty, or a pipe or device that a read could wait on for ever.
    """
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise MediaError(f"{path}: is not a file")
        if facts.st_size == 0:
            raise MediaError(f"{path}: is empty (0 bytes)")
        with path.open("rb") as file:
            file.read(1)
    except FileNotFoundError as error:
        raise MediaError(f"{path}: no such file") from error
    except OSError as error:
        raise MediaError(f"{path}: cannot be read: {error.strerror or error}") from error


def check_dimensions(path: Path, width: int, height: int) -> None:
    """Refuses pictures larger than `MAX_PIXELS` before memory is taken for them.

    Raises:
        MediaError: If they are larger.
    """
    if width * height > MAX_PIXELS:
        raise MediaError(f"{path}: its header claims {width} x {height} pixels; at most {MAX_PIXELS} are read")


@contextmanager
def av_errors(path: Path) -> Iterator[None]:
    """Turns an error of FFmpeg into a DecodeError that names the file."""
    try:
        yield
    except av.error.MemoryError as error:
        raise MemoryError(f"{path}: no memory left to decode") from error
    except av.error.FFmpegError as error:
        raise DecodeError(f"{path}: cannot be decoded: {error.strerror or error}") from error


def open_container(path: Path) -> InputContainer:
    """Opens a media file for demuxing.

    Raises:
        MediaError: If the file is missing, unreadable, empty, or no media file.
    """
    check_readable(path)
    try:
        container: InputContainer = av.open(
            f"file:{os.fspath(path)}",
            metadata_errors="replace",
            options={"protocol_whitelist": "file", "format_whitelist": FORMATS},
        )
    except av.error.MemoryError as error:
        raise MemoryError(f"{path}: no memory left to open it") from error
    except (av.error.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MediaError(f"{path}: is not a media file that can be read, or is damaged: {reason}") from error
    return container


def describe_streams(container: InputContainer) -> tuple[str, ...]:
    """Each stream as `type:codec`, such as `video:h264`; `attached_picture:mjpeg` for cover art."""
    return tuple(
        f"{'attached_picture' if is_attached_picture(stream) else stream.type}:{codec_name(stream)}"
        for stream in container.streams
    )


def is_attached_picture(stream: av.stream.Stream) -> bool:
    """Whether a video stream is a cover picture and not moving pictures."""
    return stream.type == "video" and bool(stream.disposition & av.stream.Disposition.attached_pic)


def codec_name(stream: av.stream.Stream) -> str:
    """Name of the stream's codec, or `unknown`."""
    context = getattr(stream, "codec_context", None)
    return "unknown" if context is None else str(context.codec.canonical_name)
