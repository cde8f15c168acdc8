"""The manifest: one row a media file, or a segment of one, with what is known of it, as JSON Lines or as Parquet."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import orjson

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

EXTRA_PATHS = ("masks", "keypoints", "sound")
"""Names in `extra` whose values are paths relative to the manifest, as `uri` is."""

_SHOWN_FAULTS = 10
_ROWS_A_BATCH = 8192


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """A media file, or a segment of one.

    Args:
        id: Unique in its manifest.
        uri: Path relative to the manifest's folder (or absolute): a file, or for a video also a folder of numbered images.
        media_type: `video`, `audio` or `image`.
        start: Begin of the segment in seconds on the file's time axis; None for the file's begin.
        end: End of the segment in seconds; None for the file's end.
        caption: A sentence about it.
        label: Its class.
        split: Such as `train` or `test`.
        group: Rows of one source share it, so that no source stands in two splits.
        duration_seconds: Probed, like all that follow up to `streams`.
        fps: Mean presented frames a second.
        num_frames: Presented frames.
        width: Pixels as presented, rotation applied.
        height: Pixels as presented, rotation applied.
        sample_rate: Of the first audio stream, in hertz.
        num_channels: Of the first audio stream.
        streams: Such as `("video:h264", "audio:aac")`.
        status: `ok` or `rejected`.
        error_type: Why it was rejected: name of the error's class.
        error_message: Why it was rejected, as a sentence.
        extra: Every column that is none of these.
    """

    id: str
    uri: str
    media_type: str
    start: float | None = None
    end: float | None = None
    caption: str | None = None
    label: str | None = None
    split: str | None = None
    group: str | None = None
    duration_seconds: float | None = None
    fps: float | None = None
    num_frames: int | None = None
    width: int | None = None
    height: int | None = None
    sample_rate: int | None = None
    num_channels: int | None = None
    streams: tuple[str, ...] = ()
    status: str = "ok"
    error_type: str | None = None
    error_message: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """Rows and the file they came from, whose folder their `uri`s are relative to."""

    path: Path
    rows: tuple[ManifestRow, ...]

    @property
    def name(self) -> str:
        """How results name the data set: the file's stem, or its folder's name for `manifest.jsonl`."""
        return self.path.resolve().parent.name if self.path.stem == "manifest" else self.path.stem

    def resolve(self, row: ManifestRow) -> Path:
        """The row's file."""
        return self.path.parent / row.uri


@dataclass(frozen=True, slots=True)
class ManifestFault:
    """One thing that is wrong with a manifest.

    Args:
        line: Line of the JSON Lines file, or row of the Parquet file, from 1; 0 for the file as a whole.
        row_id: The row's id where it has one.
        message: What is wrong and what to do.
    """

    line: int
    row_id: str | None
    message: str

    def text(self, path: Path) -> str:
        """The fault as one line: `file:line: id: message`."""
        place = f"{path}:{self.line}" if self.line else str(path)
        return ": ".join(part for part in (place, self.row_id, self.message) if part)


_TEXT, _TIME, _COUNT = "text", "a number", "a whole number"
_COLUMNS: dict[str, str] = {
    **dict.fromkeys(("id", "uri", "media_type"), _TEXT),
    **dict.fromkeys(("start", "end"), _TIME),
    **dict.fromkeys(("caption", "label", "split", "group"), _TEXT),
    **dict.fromkeys(("duration_seconds", "fps"), _TIME),
    **dict.fromkeys(("num_frames", "width", "height", "sample_rate", "num_channels"), _COUNT),
    "streams": "a list of text",
    **dict.fromkeys(("status", "error_type", "error_message"), _TEXT),
}
"""Every column but `extra`, in the order in which it is written, and what it holds."""

_EXACT_TYPE: dict[str, type] = {
    name: {_TEXT: str, _TIME: float, _COUNT: int}.get(kind, tuple) for name, kind in _COLUMNS.items()
}
_MEDIA_TYPES = frozenset(MEDIA_TYPES)
_STATUSES = frozenset(STATUSES)


def media_type_of(uri: str) -> str | None:
    """Media type by a path's suffix, or None where the suffix says nothing."""
    return SUFFIX_MEDIA_TYPES.get(os.path.splitext(uri)[1].lower())  # noqa: PTH122


def row_to_json(row: ManifestRow) -> dict[str, Any]:
    """The row as plain JSON values in the order of the columns; what is not known is left out, `extra` is spread.

    Raises:
        ManifestError: If `extra` holds a name that is a column of its own.
    """
    values: dict[str, Any] = {}
    for name in _COLUMNS:
        value = getattr(row, name)
        if value is not None and value != ():
            if value != value:
                raise ManifestError(f"row {row.id!r}: {name} is not a number (NaN); leave it out where it is not known")
            values[name] = value
    if row.status == "ok":
        del values["status"]
    if row.extra:
        taken = [name for name in row.extra if name in _COLUMNS]
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
    for name, value in values.items():
        exact = _EXACT_TYPE.get(name)
        if exact is None:
            extra[name] = value
        elif type(value) is exact:
            known[name] = value
        elif value is not None:
            known[name] = _converted(name, value)
    if "media_type" not in known and type(known.get("uri")) is str:
        told = media_type_of(known["uri"])
        if told is not None:
            known["media_type"] = told
    if (
        _Wrong in map(type, known.values())
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
    kind = _COLUMNS[name]
    if kind == _TIME and type(value) is int:
        return float(value)
    if kind == _COUNT and type(value) is float and value.is_integer():
        return int(value)
    if name == "streams" and type(value) is list and all(type(stream) is str for stream in value):
        return tuple(value)
    return _Wrong(value)


def _faults(known: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the known columns of a row."""
    for name, value in known.items():
        if type(value) is _Wrong:
            yield f"{name}: expected {_COLUMNS[name]}, got {_shortened(value.value)}"
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


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def read_manifest(path: Path) -> Manifest:
    """Reads a manifest; Parquet where the suffix is `.parquet`, JSON Lines otherwise.

    Raises:
        ManifestError: If the file cannot be read, has no row, or a row is malformed; the message names the lines.
    """
    rows: list[ManifestRow] = []
    faults: list[ManifestFault] = []
    for _, entry in scan_manifest(path):
        if isinstance(entry, ManifestRow):
            rows.append(entry)
        else:
            faults.append(entry)
    if faults:
        lines = [fault.text(path) for fault in faults[:_SHOWN_FAULTS]]
        if len(faults) > _SHOWN_FAULTS:
            lines.append(f"and {len(faults) - _SHOWN_FAULTS} more; `mmssl manifest check {path}` lists all")
        raise ManifestError("\n".join(lines))
    return Manifest(path, tuple(rows))


def scan_manifest(path: Path) -> Iterator[tuple[int, ManifestRow | ManifestFault]]:
    """Line number and row of each row, or the fault that hides it; a file that cannot be read at all is one fault."""
    found = False
    try:
        for line, entry in _scan_parquet(path) if path.suffix == ".parquet" else _scan_json_lines(path):
            found = True
            yield line, entry
    except OSError as error:
        yield 0, ManifestFault(0, None, f"cannot be read: {error.strerror or error}")
        return
    if not found:
        yield 0, ManifestFault(0, None, "holds no row; a manifest has one JSON object a line, or is a Parquet table")


def _scan_json_lines(path: Path) -> Iterator[tuple[int, ManifestRow | ManifestFault]]:
    with path.open("rb") as file:
        for line, text in enumerate(file, 1):
            stripped = text.removeprefix(b"\xef\xbb\xbf") if line == 1 else text
            if stripped.isspace() or not stripped:
                continue
            try:
                values = orjson.loads(stripped)
            except orjson.JSONDecodeError as error:
                yield line, ManifestFault(line, None, _unreadable(text, error))
                continue
            yield line, _row_or_fault(line, values)


def _unreadable(text: bytes, error: orjson.JSONDecodeError) -> str:
    """Why a line is no JSON."""
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as fault:
        return f"is not UTF-8 at byte {fault.start + 1}; save the file as UTF-8"
    if not text.endswith(b"\n") and text.lstrip().startswith(b"{") and not text.rstrip().endswith(b"}"):
        return "is cut off: the file ends in the middle of a row; was its writer interrupted?"
    return f'is not JSON: {error.msg} at column {error.colno}; expected one object a line, such as {{"id": ..., "uri": ...}}'


def _row_or_fault(line: int, values: Any) -> ManifestRow | ManifestFault:
    if type(values) is not dict:
        return ManifestFault(line, None, f"expected a JSON object, got {_shortened(values)}")
    try:
        return row_from_json(values)
    except ManifestError as error:
        row_id = values.get("id")
        return ManifestFault(line, row_id if type(row_id) is str and row_id else None, str(error))


def _scan_parquet(path: Path) -> Iterator[tuple[int, ManifestRow | ManifestFault]]:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(path)
    except pyarrow.ArrowException as error:
        yield 0, ManifestFault(0, None, f"is not Parquet: {error}")
        return
    line = 0
    with table:
        for batch in table.iter_batches(batch_size=_ROWS_A_BATCH):
            columns = [column.to_pylist() for column in batch.columns]
            for cells in zip(*columns, strict=True):
                line += 1
                values = {name: cell for name, cell in zip(batch.schema.names, cells, strict=True) if cell is not None}
                yield line, _row_or_fault(line, _with_extra(values))


def _with_extra(values: dict[str, Any]) -> dict[str, Any]:
    """A Parquet row with its `extra_json` spread."""
    encoded = values.pop("extra_json", None)
    if encoded is None:
        return values
    try:
        extra = orjson.loads(encoded)
    except orjson.JSONDecodeError:
        extra = None
    if type(extra) is not dict:
        return {**values, "extra_json": encoded}
    return {**extra, **values}


def relocated(row: ManifestRow, source: Path, target: Path) -> ManifestRow:
    """The row with its paths, which are relative to one folder, relative to another; absolute ones stay as they are."""
    paths = {name: row.extra[name] for name in EXTRA_PATHS if isinstance(row.extra.get(name), str)}
    moved = {name: _moved(path, source, target) for name, path in paths.items()}
    return replace(row, uri=_moved(row.uri, source, target), extra={**row.extra, **moved})


def _moved(path: str, source: Path, target: Path) -> str:
    if os.path.isabs(path):  # noqa: PTH117
        return path
    return Path(os.path.relpath(source.resolve() / path, target.resolve())).as_posix()


def write_manifest(path: Path, rows: Iterable[ManifestRow], *, root: Path | None = None) -> None:
    """Writes rows, whole or not at all; Parquet where the suffix is `.parquet`, JSON Lines otherwise.

    Parquet has one column a field and `extra_json` for what is in `extra`.

    Args:
        path: File to write.
        rows: Taken one at a time.
        root: Folder that the rows' paths are relative to, where it is not the manifest's own.

    Raises:
        ManifestError: If `extra` holds what JSON cannot, or a name that is a column of its own.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if root is not None and root.resolve() != path.parent.resolve():
        rows = (relocated(row, root, path.parent) for row in rows)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    write = _write_parquet if path.suffix == ".parquet" else _write_json_lines
    try:
        with partial.open("wb") as file:
            write(file, rows)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _encoded(row: ManifestRow, values: Any) -> bytes:
    try:
        return orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError as error:
        raise ManifestError(f"row {row.id!r}: cannot be written as JSON: {error}") from error


def _write_json_lines(file: BinaryIO, rows: Iterable[ManifestRow]) -> None:
    for row in rows:
        file.write(_encoded(row, row_to_json(row)) + b"\n")


def _write_parquet(file: BinaryIO, rows: Iterable[ManifestRow]) -> None:
    import pyarrow
    import pyarrow.parquet

    arrow_types = {_TEXT: pyarrow.string(), _TIME: pyarrow.float64(), _COUNT: pyarrow.int64()}
    fields = [(name, arrow_types.get(kind, pyarrow.list_(pyarrow.string()))) for name, kind in _COLUMNS.items()]
    schema = pyarrow.schema([*fields, ("extra_json", pyarrow.string())])
    with pyarrow.parquet.ParquetWriter(file, schema) as writer:
        for batch in _batches(rows):
            for row in batch:
                row_to_json(row)
            columns: list[list[Any]] = [[getattr(row, name) for row in batch] for name in _COLUMNS]
            columns.append([_encoded(row, row.extra).decode() if row.extra else None for row in batch])
            writer.write_table(pyarrow.table(columns, schema=schema))


def _batches(rows: Iterable[ManifestRow]) -> Iterator[Sequence[ManifestRow]]:
    batch: list[ManifestRow] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _ROWS_A_BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
