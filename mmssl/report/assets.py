"""Files of a run as data URIs, so that the page needs no other file."""

import base64
from dataclasses import dataclass
from pathlib import Path

from mmssl.errors import MediaError
from mmssl.media.image import encode_jpeg, image_size, read_image

MAX_FILE_BYTES = 6_000_000
MAX_PAGE_BYTES = 40_000_000
LARGE_PNG_BYTES = 200_000
"""A PNG above this is embedded as JPEG; its file stays as it is."""

SIGNATURES = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"fLaC", "audio/flac"),
)


@dataclass(frozen=True)
class Asset:
    """A file as the page holds it.

    Args:
        uri: Data URI; empty where the file is not embedded.
        note: Why it is not.
        width: Of a picture, in pixels; 0 where unknown.
        height: Likewise.
    """

    uri: str = ""
    note: str = ""
    width: int = 0
    height: int = 0


class Assets:
    """Embeds files of one run, as long as they are small and the page does not grow too large.

    Args:
        root: The run's folder; no file outside it is embedded.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.num_bytes = 0

    def embed(self, folder: Path, file: str) -> Asset:
        """A picture, a video or sound of a stage, by its path relative to the stage's folder."""
        path = (folder / file).resolve()
        if not path.is_relative_to(self.root):
            return Asset(note=f"{file}: lies outside the run")
        try:
            size = path.stat().st_size
            if size > MAX_FILE_BYTES:
                return Asset(note=_too_large(file, size))
            content = path.read_bytes()
        except OSError:
            return Asset(note=f"{file}: is missing")
        mime = _mime(content)
        if not mime:
            return Asset(note=f"{file}: is neither a picture nor a video nor sound that browsers show")
        height, width = _size(path) if mime.startswith("image/") else (0, 0)
        if mime == "image/png" and size > LARGE_PNG_BYTES:
            content = _smaller(path, content)
        if self.num_bytes + len(content) > MAX_PAGE_BYTES:
            return Asset(note=_too_large(file, size))
        self.num_bytes += len(content)
        return Asset(f"data:{_mime(content)};base64,{base64.b64encode(content).decode()}", "", width, height)


def _mime(content: bytes) -> str:
    """What browsers call its format; empty for those that they do not show."""
    return next((mime for start, sign, mime in SIGNATURES if content[start : start + len(sign)] == sign), "")


def _too_large(file: str, size: int) -> str:
    return f"{file}: {size / 1e6:.1f} MB, too large to embed; it lies in the run's folder"


def _smaller(path: Path, content: bytes) -> bytes:
    """The picture as JPEG, or as it is where it cannot be read."""
    try:
        return encode_jpeg(read_image(path))
    except MediaError:
        return content


def _size(path: Path) -> tuple[int, int]:
    """Height and width of a picture, zero where its header cannot be read."""
    try:
        return image_size(path)
    except MediaError:
        return (0, 0)
