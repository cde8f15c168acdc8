"""Folders of checksummed files that are whole or not there: how tables and indexes lie on disk."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmssl.errors import RetrievalError
from mmssl.files import atomic_file

Writer = Callable[[Path], None]


def write_folder(folder: Path, record: str, facts: Mapping[str, Any], writers: Mapping[str, Writer]) -> None:
    """Writes files, then the record that names them and makes them count.

    Args:
        folder: Made where it is not there; what it holds already is replaced.
        record: Name of the JSON file with the facts and the files' checksums; it is written last.
        facts: Goes into the record as it is.
        writers: Name of each file to a function that writes it to a path.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / record).unlink(missing_ok=True)
    checksums = {}
    for name, write in writers.items():
        with atomic_file(folder / name) as partial:
            write(partial)
            checksums[name] = checksum(partial)
    content = json.dumps({**facts, "checksums": checksums}, indent=2, ensure_ascii=False)
    with atomic_file(folder / record) as partial:
        partial.write_text(content + "\n", encoding="utf-8")


def read_folder(folder: Path, record: str, *, noun: str) -> dict[str, Any]:
    """The facts of a folder, after every file's checksum has been found right.

    Raises:
        RetrievalError: If the record or a file is missing, or differs from what was written.
    """
    try:
        content = json.loads((folder / record).read_text(encoding="utf-8"))
        checksums = dict(content["checksums"])
    except FileNotFoundError as error:
        raise RetrievalError(f"{folder}: holds no {noun} ({record} is missing); make it again") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RetrievalError(f"{folder / record}: is damaged ({error!r}); make the {noun} again") from error
    for name, expected in checksums.items():
        file = folder / str(name)
        if file.parent != folder or not file.is_file():
            raise RetrievalError(f"{folder}: {name} is missing; make the {noun} again")
        if checksum(file) != expected:
            raise RetrievalError(f"{file}: differs from what was written (checksum); make the {noun} again")
    return dict(content)


def checksum(file: Path) -> str:
    """SHA-256 of a file's bytes."""
    sha = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()
