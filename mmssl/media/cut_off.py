"""Whether a container's header promises more bytes than its file holds."""

from pathlib import Path

_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"
_HEAD_BYTES = 4096


def is_cut_off(path: Path) -> bool:
    """Whether a Matroska, WebM or AVI file is shorter than its header states; False for what does not state it.

    Source:
        RFC 8794 (EBML), sections 4 and 11; Multimedia Programming Interface and Data Specifications 1.0, chapter 2 (RIFF).
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    stated = 8 + int.from_bytes(head[4:8], "little") if head[:4] == b"RIFF" else _segment_end(head)
    return stated is not None and path.stat().st_size < stated


def _segment_end(head: bytes) -> int | None:
    """Where the segment of a Matroska file ends; None where it is not said, or the file is none."""
    if not head.startswith(_EBML):
        return None
    header_size, place = _size(head, len(_EBML))
    if header_size is None or head[place + header_size :][: len(_SEGMENT)] != _SEGMENT:
        return None
    segment_size, place = _size(head, place + header_size + len(_SEGMENT))
    return None if segment_size is None else place + segment_size


def _size(head: bytes, place: int) -> tuple[int | None, int]:
    """The size of an EBML element that is written at a place, None where it is unknown; and where its content begins."""
    if place >= len(head) or head[place] == 0:
        return None, place
    width = 9 - head[place].bit_length()
    largest = (1 << 7 * width) - 1
    value = int.from_bytes(head[place : place + width], "big") & largest
    return (None if value == largest else value), place + width
