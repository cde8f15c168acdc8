"""A row of a manifest, and its form as plain JSON values."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from mmssl.errors import ManifestError

MEDIA_TYPES = ("video", "audio", "image")
STATUSES = ("ok", "rejected")
_SUFFIXES = {
    "video": "mp4 m4v mov qt mkv webm avi mpg mpeg mpe m1v m2v vob ts mts m2ts wmv asf flv f4v 3gp 3g2 ogv divx y4m mxf gif"
    " h264 264 h265 hevc 265 ivf",
    "audio": "wav wave flac mp3 ogg oga opus m4a aac aif aiff aifc au snd caf w64 rf64 wma sph amr",
    "image": "jpg jpeg jpe jfif png webp bmp dib tif tiff ppm pgm pbm pnm jp2 avif",
}
SUFFIX_MEDIA_TYPES = {f".{suffix}": kind for kind, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}
"""Media type by a file name's suffix in lower case."""


@dataclass(slots=True)
class ManifestRow:
    """A media file, or a segment of one; change it by `dataclasses.replace`.

    Not frozen, because a frozen row of so many columns takes twice as long to make, and manifests hold many.

    Args:
        id: Unique in its manifest.
        uri: Path relative to the manifest's folder (or absolute): a file, or for a video also a folder of numbered images.
        media_type: `video`, `audio` or `image`.
        start: Begin of the segment in seconds on the file's time axis; None for the file's begin.
        end: End of the segment in seconds; None for the file's end.
        caption: A sentence about it, or several, one a line.
        label: Its class.
        split: Such as `train` or `test`.
        group: Rows of one source share it, so that no source stands in two splits.
        duration_seconds: Probed, like all columns up to `num_missing_frames`; `mmssl.media.probe.Probe` says what each is.
        status: `ok` or `rejected`.
        error_type: Why it was rejected: name of the error's class.
        error_message: Why it was rejected, as a sentence.
        extra: Every column that is none of these.
    """

    id: str
    uri: str
    media_type: str
    start: int | float | None = None
    end: int | float | None = None
    caption: str | None = None
    label: str | None = None
    split: str | None = None
    group: str | None = None
    duration_seconds: int | float | None = None
    fps: int | float | None = None
    num_frames: int | None = None
    width: int | None = None
    height: int | None = None
    sample_rate: int | None = None
    num_channels: int | None = None
    streams: tuple[str, ...] = ()
    num_missing_frames: int | None = None
    status: str = "ok"
    error_type: str | None = None
    error_message: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


TEXT, TIME, COUNT = "text", "a number", "a whole number"
COLUMNS: dict[str, str] = {
    **dict.fromkeys(("id", "uri", "media_type"), TEXT),
    **dict.fromkeys(("start", "end"), TIME),
    **dict.fromkeys(("caption", "label", "split", "group"), TEXT),
    **dict.fromkeys(("duration_seconds", "fps"), TIME),
    **dict.fromkeys(("num_frames", "width", "height", "sample_rate", "num_channels"), COUNT),
    "streams": "a list of text",
    "num_missing_frames": COUNT,
    **dict.fromkeys(("status", "error_type", "error_message"), TEXT),
}
"""Every column but `extra`, in the order in which it is written, and what it holds."""

_EXACT_TYPE: dict[str, type] = {
    name: {TEXT: str, TIME: float, COUNT: int}.get(kind, tuple) for name, kind in COLUMNS.items()
}
column_values = attrgetter(*COLUMNS)
"""The values of a row's columns, in their order."""

_MEDIA_TYPES = frozenset(MEDIA_TYPES)
_STATUSES = frozenset(STATUSES)


def media_type_of(uri: str) -> str | None:
    """Media type by a path's suffix, or None where the suffix says nothing."""
    dot = uri.rfind(".")
    return SUFFIX_MEDIA_TYPES.get(uri[dot:].lower()) if dot > uri.rfind("/") + 1 else None


def without_suffix(path: str) -> str:
    """A path without its suffix; a dot at the begin of a name starts no suffix."""
    dot = path.rfind(".")
    return path[:dot] if dot > path.rfind("/") + 1 else path


def row_to_json(row: ManifestRow) -> dict[str, Any]:
    """The row as plain JSON values in the order of the columns; what is not known is left out, `extra` is spread.

    Raises:
        ManifestError: If `extra` holds a name that is a column of its own.
    """
    columns = column_values(row)
    if columns[3:] == _NOTHING_KNOWN and not row.extra:
        return {"id": row.id, "uri": row.uri, "media_type": row.media_type}
    values: dict[str, Any] = {}
    for name, value in zip(COLUMNS, columns, strict=True):
        if value is not None and value != ():
            if value != value:
                raise ManifestError(f"row {row.id!r}: {name} is not a number (NaN); leave it out where it is not known")
            values[name] = value
    if row.status == "ok":
        del values["status"]
    if row.extra:
        taken = [name for name in row.extra if name in COLUMNS]
        if taken:
            raise ManifestError(f"row {row.id!r}: extra holds {taken}, which are columns themselves; set those instead")
        values.update(row.extra)
    return values


def row_from_json(values: Mapping[str, Any]) -> ManifestRow:
    """The row that JSON values describe; unknown names go to `extra`, a missing `media_type` is told by the suffix.

    Raises:
        ManifestError: If something is missing or of the wrong type; the message holds every fault.
    """
    known: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    fits = True
    for name, value in values.items():
        exact = _EXACT_TYPE.get(name)
        if exact is None:
            extra[name] = value
        elif type(value) is exact:
            known[name] = value
        elif value is not None:
            known[name] = converted = _converted(name, value)
            fits = fits and type(converted) is not _Wrong
    if "media_type" not in known and type(known.get("uri")) is str:
        told = media_type_of(known["uri"])
        if told is not None:
            known["media_type"] = told
    if (
        not fits
        or not known.get("id")
        or not known.get("uri")
        or known.get("media_type") not in _MEDIA_TYPES
        or known.get("status", "ok") not in _STATUSES
    ):
        raise ManifestError("; ".join(_faults(known)))
    return ManifestRow(**known, extra=extra)


@dataclass(frozen=True, slots=True)
class _Wrong:
    """A value that does not fit its column."""

    value: Any


def _converted(name: str, value: Any) -> Any:
    """A value that is not exactly of its column's type, as that type where nothing is lost."""
    kind = COLUMNS[name]
    if kind == TIME and type(value) is int:
        return float(value)
    if kind == COUNT and type(value) is float and value.is_integer():
        return int(value)
    if name == "streams" and type(value) is list and all(type(stream) is str for stream in value):
        return tuple(value)
    return _Wrong(value)


def _faults(known: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the known columns of a row."""
    for name, value in known.items():
        if type(value) is _Wrong:
            yield f"{name}: expected {COLUMNS[name]}, got {shortened(value.value)}"
    for name in ("id", "uri"):
        if not known.get(name):
            yield f"{name}: is missing or empty; every row needs one"
    media_type, status = known.get("media_type"), known.get("status", "ok")
    if media_type is None and known.get("uri"):
        yield f"media_type: is missing and the suffix of the uri does not tell it; give one of {list(MEDIA_TYPES)}"
    elif type(media_type) is str and media_type not in _MEDIA_TYPES:
        yield f"media_type: {media_type!r} is not known; allowed are {list(MEDIA_TYPES)}"
    if type(status) is str and status not in _STATUSES:
        yield f"status: {status!r} is not known; allowed are {list(STATUSES)}"


def shortened(value: Any) -> str:
    """A value as an error message shows it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


_NOTHING_KNOWN = column_values(ManifestRow("", "", ""))[3:]
