"""Tables that people keep beside their media (CSV, TSV, JSON Lines, Parquet), and what their columns mean."""

import csv
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from mmssl.data.building import unique_ids
from mmssl.data.manifest import ManifestRow, row_from_json
from mmssl.data.manifest_row import COLUMNS, COUNT, TEXT, TIME
from mmssl.errors import ManifestError

_NAMES = {
    "uri": "uri filepath file_path file_name filename audio_filepath image_path video_path audio_path image_file path file "
    "image video audio img img_path wav",
    "id": "id key",
    "caption": "caption title text sentence transcript transcription description",
    "label": "label class class_name category cls",
    "split": "split subset partition",
    "start": "start start_seconds start_time time_start offset",
    "end": "end end_seconds end_time time_end",
    "duration_seconds": "duration_seconds duration",
}
_SAME_NAME = ("media_type", "group", "fps", "num_frames", "width", "height", "sample_rate", "num_channels")
MEANINGS = {**{field: names.split() for field, names in _NAMES.items()}, **{field: [field] for field in _SAME_NAME}}
"""Names by which a column of each meaning goes, in any case; the first that a table has is taken."""

_SEPARATORS = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar"}
_JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
_SHOWN_FAULTS = 10


@dataclass(frozen=True)
class Table:
    """A table in memory.

    Args:
        path: Its file.
        form: Such as `CSV separated by comma`.
        columns: Names, in their order.
        rows: Line and cells of each row; empty cells are left out.
    """

    path: Path
    form: str
    columns: tuple[str, ...]
    rows: list[tuple[int, dict[str, Any]]]


def columns_of(path: Path) -> tuple[str, ...]:
    """The names of a table's columns (of JSON Lines, those of its first row); none where the file is no table.

    Raises:
        ManifestError: If the file cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _parquet_columns(path)
    try:
        with path.open("rb") as file:
            line = file.readline(1 << 20).removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read: {error.strerror}") from error
    if suffix in _JSON_SUFFIXES:
        if line.lstrip().startswith(b"["):
            return _json_lines(path).columns
        try:
            return tuple(orjson.loads(line))
        except (orjson.JSONDecodeError, TypeError):
            return ()
    try:
        header = line.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        return ()
    return tuple(_cells(header, _separator(header, suffix)))


def read_table(path: Path) -> Table:
    """Reads a table whole.

    Raises:
        ManifestError: If it is malformed; the message names the lines.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _parquet(path)
    if suffix in _JSON_SUFFIXES:
        return _json_lines(path)
    return _separated(path)


def _separator(header: str, suffix: str) -> str:
    """The separator that cuts the header into most columns; a tab where the suffix says so."""
    if suffix == ".tsv":
        return "\t"
    return max(_SEPARATORS, key=lambda separator: len(_cells(header, separator)))


def _cells(line: str, separator: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator), [])]


def _separated(path: Path) -> Table:
    csv.field_size_limit(1 << 30)
    rows: list[tuple[int, dict[str, Any]]] = []
    faults: list[str] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            separator = _separator(header.rstrip("\r\n"), path.suffix.lower())
            columns = tuple(_cells(header.rstrip("\r\n"), separator))
            reader = csv.reader(file, delimiter=separator)
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(columns):
                    faults.append(
                        f"{path}:{reader.line_num + 1}: has {len(cells)} cells, the header {len(columns)}; "
                        f"quote cells that hold the separator ({_SEPARATORS[separator]})"
                    )
                    continue
                rows.append(
                    (reader.line_num + 1, {name: cell for name, cell in zip(columns, cells, strict=True) if cell})
                )
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: is not UTF-8; save it as UTF-8") from error
    except (OSError, csv.Error) as error:
        raise ManifestError(f"{path}: cannot be read: {error}") from error
    refuse(faults)
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise ManifestError(f"{path}: the columns {twice} stand twice")
    return Table(path, f"CSV separated by {_SEPARATORS[separator]}", columns, rows)


def _json_lines(path: Path) -> Table:
    rows: list[tuple[int, dict[str, Any]]] = []
    faults: list[str] = []
    columns: dict[str, None] = {}
    content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    form = "JSON Lines"
    lines: Iterable[Any] = content.splitlines()
    if content.lstrip()[:1] == b"[":
        form = "JSON list"
        try:
            lines = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise ManifestError(f"{path}: is not JSON: {error}") from error
    for number, line in enumerate(lines, 1):
        try:
            values = orjson.loads(line) if isinstance(line, bytes) and line.strip() else line
        except orjson.JSONDecodeError as error:
            faults.append(f"{path}:{number}: is not JSON: {error}")
            continue
        if isinstance(values, dict):
            columns.update(dict.fromkeys(values))
            rows.append((number, {name: value for name, value in values.items() if value not in (None, "")}))
        elif values:
            faults.append(f"{path}:{number}: expected a JSON object")
    refuse(faults)
    return Table(path, form, tuple(columns), rows)


def _parquet_columns(path: Path) -> tuple[str, ...]:
    import pyarrow
    import pyarrow.parquet

    try:
        return tuple(pyarrow.parquet.read_schema(path).names)
    except (pyarrow.ArrowException, OSError) as error:
        raise ManifestError(f"{path}: cannot be read as Parquet: {' '.join(str(error).split())}") from error


def _parquet(path: Path) -> Table:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise ManifestError(f"{path}: cannot be read as Parquet: {' '.join(str(error).split())}") from error
    rows = [
        (number, {name: value for name, value in values.items() if value is not None and value != ""})
        for number, values in enumerate(table.to_pylist(), 1)
    ]
    return Table(path, "Parquet", tuple(table.column_names), rows)


def meanings(columns: Sequence[str]) -> dict[str, str]:
    """The column that holds each field of a row, for those that can be told by name."""
    by_name = {name.strip().lower(): name for name in reversed(columns)}
    found = {}
    for field, names in MEANINGS.items():
        column = next((by_name[name] for name in names if name in by_name), None)
        if column is not None:
            found[field] = column
    return found


def table_rows(table: Table, *, folder: str = "", defaults: Mapping[str, Any] | None = None) -> list[ManifestRow]:
    """A manifest row for each row of a table, by what the columns' names mean; other columns go to `extra`.

    Args:
        table: The table; one column must name the file.
        folder: Stands before each path.
        defaults: Fields for rows that lack them.

    Raises:
        ManifestError: If no column names the file, or cells are malformed; the message names the columns or the lines.
    """
    known = meanings(table.columns)
    if "uri" not in known:
        hint = "'url' holds addresses; download the files first" if "url" in table.columns else ""
        named = f"name one of them {MEANINGS['uri'][1]!r}"
        raise ManifestError(
            f"{table.path}: no column names the file; the columns are {list(table.columns)}; {hint or named}"
        )
    drafts: list[tuple[int, dict[str, Any]]] = []
    faults: list[str] = []
    for line, cells in table.rows:
        try:
            drafts.append((line, {**(defaults or {}), **field_values(cells, known)}))
        except ManifestError as error:
            faults.append(f"{table.path}:{line}: {error}")
            continue
        uri = drafts[-1][1].get("uri", "")
        if "://" in uri:
            faults.append(f"{table.path}:{line}: {known['uri']!r} holds an address, {uri}; download the files first")
    refuse(faults)
    return finished_rows(table.path, joined_captions(drafts), folder=folder)


def joined_captions(drafts: list[tuple[int, dict[str, Any]]]) -> list[tuple[int, dict[str, Any]]]:
    """Rows that differ in their caption alone as one, with a caption a line; the first row's place and line are kept."""
    joined: dict[str, tuple[int, dict[str, Any]]] = {}
    for line, values in drafts:
        rest = {name: value for name, value in values.items() if name != "caption"}
        key = repr(sorted(rest.items())) if "caption" in values else str(line)
        if key in joined:
            before = joined[key][1]
            joined[key] = (joined[key][0], {**before, "caption": f"{before['caption']}\n{values['caption']}"})
        else:
            joined[key] = (line, values)
    return list(joined.values())


def finished_rows(source: Path, drafts: list[tuple[int, dict[str, Any]]], *, folder: str = "") -> list[ManifestRow]:
    """Rows from their fields; ids are made unique, and rows of one file share a group."""
    paths = [str(values.get("uri", "")) for _, values in drafts]
    times = Counter(paths)
    given = Counter(values.get("id") for _, values in drafts)
    rows: list[ManifestRow] = []
    faults: list[str] = []
    for (line, values), row_id, path in zip(drafts, unique_ids(paths), paths, strict=True):
        own = values.get("id")
        if own is None or given[own] > 1:
            values = {**values, "id": row_id, **({} if own is None else {"source_id": own})}
        if path and times[path] > 1:
            values = {"group": path, **values}
        try:
            rows.append(row_from_json({**values, "uri": f"{folder}/{path}" if folder and path else path}))
        except ManifestError as error:
            faults.append(f"{source}:{line}: {error}")
    refuse(faults)
    return rows


def field_values(cells: Mapping[str, Any], known: Mapping[str, str]) -> dict[str, Any]:
    """A row's fields from its cells; a cell that only shares a field's name is kept as `source_NAME`.

    Raises:
        ManifestError: If a cell cannot be what its column means.
    """
    field_of = {column: field for field, column in known.items()}
    values: dict[str, Any] = {}
    for column, cell in cells.items():
        field = field_of.get(column)
        if field is not None:
            values[field] = _converted(column, COLUMNS[field], cell)
        else:
            values[f"source_{column}" if column in COLUMNS else column] = cell
    return values


def _converted(column: str, kind: str, cell: Any) -> Any:
    """A cell as its field's kind."""
    if kind == TEXT:
        return cell.strip() if isinstance(cell, str) else str(cell)
    try:
        number = float(cell)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or (kind == COUNT and not number.is_integer()):
        raise ManifestError(f"{column}: expected {kind if kind in (TIME, COUNT) else TIME}, got {cell!r}")
    return int(number) if kind == COUNT else number


def base_folder(path: Path, uris: Sequence[str]) -> str:
    """The folder, relative to a table's own, that the first file's path starts from; an empty text for its own folder.

    Looked for in the table's folder and in the folders beside it, as many data sets keep `captions.csv` beside `images/`.
    """
    first = uris[0] if uris else ""
    if not first or (path.parent / first).exists():
        return ""
    beside = sorted(entry.name for entry in path.parent.iterdir() if entry.is_dir())
    return next((name for name in beside if (path.parent / name / first).exists()), "")


def refuse(faults: Sequence[str]) -> None:
    """Raises the faults, if there are any; only the first ones are shown."""
    if faults:
        more = [f"and {len(faults) - _SHOWN_FAULTS} more"] if len(faults) > _SHOWN_FAULTS else []
        raise ManifestError("\n".join([*faults[:_SHOWN_FAULTS], *more]))
