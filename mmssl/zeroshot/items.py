"""What there is to classify: files, folders, globs, manifests and lists, as rows of a manifest with their own paths."""

import glob
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from mmssl.data.building import folder_rows, with_unique_ids
from mmssl.data.manifest import ManifestRow, media_type_of, read_manifest
from mmssl.errors import ManifestError

LIST = "-"
"""The input that stands for a list of paths on standard input."""


def find_items(
    inputs: Sequence[str], *, class_names: Collection[str] = (), listed: Iterable[str] | None = None
) -> list[ManifestRow]:
    """A row for each image and video, with the path to its file, in the order of the inputs.

    What cannot be classified is a row with the status `rejected`: sound, files of a list that are not there. A file below a
    folder that bears the name of a class has it as its label.

    Args:
        inputs: Files, folders (with all below them), glob patterns, manifests (`.jsonl` or `.parquet`), and `-` for a list of
            paths on standard input, one a line.
        class_names: Names that label the files of a folder.
        listed: In place of standard input.

    Raises:
        ManifestError: If an input is not there, or nothing is found.
    """
    rows: dict[tuple[str, object, object], ManifestRow] = {}
    known = frozenset(class_names)
    for given in inputs:
        for row in _rows(given, listed or sys.stdin):
            label = row.label if row.label is not None else _folder_label(row.uri, known)
            rows.setdefault((os.path.realpath(row.uri), row.start, row.end), replace(row, label=label))
    if not rows:
        raise ManifestError(f"{', '.join(inputs)}: no image and no video there; they are told by their suffixes")
    return with_unique_ids(list(rows.values()))


def _rows(given: str, listed: Iterable[str]) -> Iterator[ManifestRow]:
    path = Path(given)
    if given == LIST:
        for line in listed:
            if line.strip():
                yield _file_row(line.strip())
    elif path.is_dir():
        before = "" if given in (".", "./") else f"{given.rstrip('/')}/"
        for row in folder_rows(path):
            yield _checked(replace(row, id=f"{before}{row.uri}", uri=f"{before}{row.uri}"))
    elif path.suffix in (".jsonl", ".parquet") and path.is_file():
        manifest = read_manifest(path)
        for row in manifest.rows:
            yield _checked(replace(row, uri=str(manifest.resolve(row))))
    elif path.exists():
        yield _file_row(given)
    else:
        found = sorted(name for name in glob.glob(given, recursive=True) if Path(name).is_file())  # noqa: PTH207
        if not found:
            raise ManifestError(f"{given}: there is no such file, folder or manifest, and no file of that pattern")
        for name in found:
            yield _file_row(name)


def _file_row(path: str) -> ManifestRow:
    return _checked(ManifestRow(id=path, uri=path, media_type=media_type_of(path) or "image"))


def _checked(row: ManifestRow) -> ManifestRow:
    """The row, rejected where it is sound."""
    if row.status != "ok" or row.media_type != "audio":
        return row
    return replace(
        row, status="rejected", error_type="MediaError", error_message=f"{row.uri}: is sound; there is no picture"
    )


def _folder_label(path: str, known: frozenset[str]) -> str | None:
    name = Path(path).parent.name
    return name if name in known else None
