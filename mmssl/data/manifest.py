"""The manifest: one row a media file, or a segment of one, with what is known of it, as JSON Lines or as Parquet."""

import gc
import os
import posixpath
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from mmssl.data.manifest_row import (
    COLUMNS,
    COUNT,
    MEDIA_TYPES,
    TEXT,
    TIME,
    ManifestRow,
    column_values,
    media_type_of,
    row_from_json,
    row_to_json,
    shortened,
)
from mmssl.errors import ManifestError

__all__ = [
    "MEDIA_TYPES",
    "Manifest",
    "ManifestFault",
    "ManifestRow",
    "media_type_of",
    "read_manifest",
    "relocated",
    "row_from_json",
    "row_to_json",
    "scan_manifest",
    "write_manifest",
]

EXTRA_PATHS = ("masks", "keypoints", "sound")
"""Names in `extra` whose values are paths relative to the manifest, as `uri` is."""

_SHOWN_FAULTS = 10
_ROWS_A_BATCH = 8192


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


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keeps the cycle collector from looking again and again through rows that are being made and hold no cycle."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@collector_paused()
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
        return ManifestFault(line, None, f"expected a JSON object, got {shortened(values)}")
    try:
        return row_from_json(values)
    except ManifestError as error:
        row_id = values.get("id")
        return ManifestFault(line, row_id if type(row_id) is str and row_id else None, str(error))


def _scan_parquet(path: Path) -> Iterator[tuple[int, ManifestRow | ManifestFault]]:
    import pyarrow
    import pyarrow.parquet

    line = 0
    with path.open("rb") as file:
        try:
            table = pyarrow.parquet.ParquetFile(file)
            for batch in table.iter_batches(batch_size=_ROWS_A_BATCH):
                columns = [column.to_pylist() for column in batch.columns]
                for cells in zip(*columns, strict=True):
                    line += 1
                    values = {
                        name: cell for name, cell in zip(batch.schema.names, cells, strict=True) if cell is not None
                    }
                    yield line, _row_or_fault(line, _with_extra(values))
        except pyarrow.ArrowException as error:
            yield line, ManifestFault(line, None, f"is not Parquet, or damaged: {' '.join(str(error).split())}")


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


def relocated(rows: Iterable[ManifestRow], source: Path, target: Path) -> Iterator[ManifestRow]:
    """Rows with their paths, which are relative to one folder, relative to another; absolute ones stay as they are."""
    between = Path(os.path.relpath(source.resolve(), target.resolve())).as_posix()
    if between == ".":
        yield from rows
        return
    for row in rows:
        extra = row.extra
        if not extra.keys().isdisjoint(EXTRA_PATHS):
            paths = {name: extra[name] for name in EXTRA_PATHS if isinstance(extra.get(name), str)}
            extra = {**extra, **{name: _moved(path, between) for name, path in paths.items()}}
        values = column_values(row)
        yield ManifestRow(*(values[0], _moved(row.uri, between), *values[2:], extra))


def _moved(path: str, between: str) -> str:
    return path if os.path.isabs(path) else posixpath.normpath(f"{between}/{path}")  # noqa: PTH117


@collector_paused()
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
    if root is not None:
        rows = relocated(rows, root, path.parent)
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
    for batch in _batches(rows):
        file.write(b"".join([_encoded(row, row_to_json(row)) + b"\n" for row in batch]))


def _write_parquet(file: BinaryIO, rows: Iterable[ManifestRow]) -> None:
    import pyarrow
    import pyarrow.parquet

    arrow_types = {TEXT: pyarrow.string(), TIME: pyarrow.float64(), COUNT: pyarrow.int64()}
    fields = [(name, arrow_types.get(kind, pyarrow.list_(pyarrow.string()))) for name, kind in COLUMNS.items()]
    schema = pyarrow.schema([*fields, ("extra_json", pyarrow.string())])
    with pyarrow.parquet.ParquetWriter(file, schema) as writer:
        for batch in _batches(rows):
            for row in batch:
                row_to_json(row)
            columns: list[list[Any]] = [[getattr(row, name) for row in batch] for name in COLUMNS]
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
