"""Reading label files with one clear line for each fault, and writing them whole or not at all."""

import csv
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from mmssl.errors import LabelError


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Puts the file's name before the message of a `LabelError`; numbers and text that do not convert become one."""
    try:
        yield
    except LabelError as error:
        text = str(error)
        raise LabelError(text if text.startswith(str(path)) else f"{path}: {text}") from error
    except (ValueError, OverflowError, MemoryError) as error:
        raise LabelError(f"{path}: {' '.join(str(error).split()) or type(error).__name__}") from error


def read_bytes(path: Path) -> bytes:
    """A file's content.

    Raises:
        LabelError: If it is missing, a folder, unreadable or empty.
    """
    if path.is_dir():
        raise LabelError(f"{path}: is a folder; expected a label file")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise LabelError(f"{path}: there is no such file") from None
    except OSError as error:
        raise LabelError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not data.strip():
        raise LabelError(f"{path}: the file is empty")
    return data


def read_text(path: Path) -> str:
    """A UTF-8 file's content, without a byte order mark.

    Raises:
        LabelError: As `read_bytes`, or if it is not UTF-8 text.
    """
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LabelError(f"{path}: is not UTF-8 text ({error.reason} at byte {error.start})") from error


def read_json(path: Path) -> Any:
    """A JSON file's value.

    Raises:
        LabelError: As `read_text`, or if it is not JSON.
    """
    try:
        return orjson.loads(read_text(path))
    except orjson.JSONDecodeError as error:
        raise LabelError(f"{path}: is not JSON, or cut short: {error}") from error


def read_table(path: Path) -> list[list[str]]:
    """A CSV file's rows.

    Raises:
        LabelError: As `read_text`, or if it is not CSV.
    """
    try:
        return list(csv.reader(io.StringIO(read_text(path), newline="")))
    except csv.Error as error:
        raise LabelError(f"{path}: is not CSV: {error}") from error


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file beside its place and renames it, so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Writes JSON by `write_whole`."""
    write_whole(path, orjson.dumps(value))
