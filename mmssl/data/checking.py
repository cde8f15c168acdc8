"""Finds everything that is wrong with a manifest, in one pass over its rows."""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mmssl.data.manifest import EXTRA_PATHS, ManifestFault, ManifestRow, scan_manifest
from mmssl.data.row_times import time_faults


def check_manifest(
    path: Path,
    *,
    read_data: bool = False,
    workers: int = 2,
) -> list[ManifestFault]:
    """Every fault of a manifest, in the order of its lines; an empty list where there is none.

    Args:
        path: Manifest to check.
        read_data: Also open every file and compare it with what the manifest says of it.
        workers: Processes that open files.
    """
    checker = _Checker(path.parent)
    faults: list[ManifestFault] = []
    files: dict[Path, list[tuple[int, ManifestRow]]] = {}
    for line, entry in scan_manifest(path):
        if isinstance(entry, ManifestFault):
            faults.append(entry)
            continue
        messages = [*checker.messages(line, entry)]
        faults += [ManifestFault(line, entry.id, message) for message in messages]
        if read_data and entry.status == "ok" and checker.files.kind(entry.uri):
            files.setdefault(path.parent / entry.uri, []).append((line, entry))
    if files:
        faults += _data_faults(files, workers)
    return sorted(faults, key=lambda fault: fault.line)


def _data_faults(files: dict[Path, list[tuple[int, ManifestRow]]], workers: int) -> Iterator[ManifestFault]:
    """What opening the files shows; the media libraries are loaded for this alone."""
    from mmssl.data.probing import differences, probe_files

    for places, outcome in zip(files.values(), probe_files(list(files), workers=workers), strict=True):
        for line, row in places:
            if outcome.value is None:
                yield ManifestFault(line, row.id, f"{outcome.error_type}: {outcome.error_message}")
            else:
                yield from (ManifestFault(line, row.id, message) for message in differences(row, outcome.value))


@dataclass
class _Checker:
    """What earlier rows have shown, so that a row can be seen to contradict them."""

    folder: Path
    line_of_id: dict[str, int] = field(default_factory=dict)
    split_of: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)
    told: set[tuple[str, str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.files = _Files(self.folder)

    def messages(self, line: int, row: ManifestRow) -> Iterator[str]:
        """What is wrong with a row, taken by itself and with those before it."""
        first = self.line_of_id.setdefault(row.id, line)
        if first != line:
            yield f"id: is also that of line {first}; ids must be unique"
        if row.start is not None or row.end is not None:
            yield from time_faults(row)
        yield from _value_faults(row)
        if row.split is not None:
            yield from self._split_faults(line, row)
        if row.status == "ok":
            yield from self._file_faults(row)

    def _split_faults(self, line: int, row: ManifestRow) -> Iterator[str]:
        split = row.split or ""
        for noun, value in (("group", row.group), ("uri", row.uri)):
            if value is None:
                continue
            other, first = self.split_of.setdefault((noun, value), (split, line))
            if other != split and (noun, value, split) not in self.told:
                self.told.add((noun, value, split))
                yield (
                    f"{noun}: {value!r} stands in split {split!r} and, on line {first}, in {other!r}; "
                    "what is tested must not be trained on"
                )

    def _file_faults(self, row: ManifestRow) -> Iterator[str]:
        kind = self.files.kind(row.uri)
        if kind is None:
            hint = "; addresses cannot be read, download it first" if "://" in row.uri else ""
            yield f"uri: there is no file {os.path.join(self.folder, row.uri)}{hint}"  # noqa: PTH118
        elif kind == "folder" and row.media_type != "video":
            yield f"uri: {row.uri} is a folder; only a video may be a folder, of numbered images"
        for name in EXTRA_PATHS:
            path = row.extra.get(name)
            if isinstance(path, str) and self.files.kind(path) is None:
                yield f"{name}: there is no file or folder {os.path.join(self.folder, path)}"  # noqa: PTH118


def _value_faults(row: ManifestRow) -> Iterator[str]:
    if row.caption is not None and (not row.caption or row.caption.isspace()):
        yield "caption: is empty; leave it out where there is none"
    for name, text in (("label", row.label), ("split", row.split), ("group", row.group)):
        if text is not None and (not text or text.isspace()):
            yield f"{name}: is empty; leave it out where there is none"
    for name, number in (
        ("duration_seconds", row.duration_seconds),
        ("fps", row.fps),
        ("num_frames", row.num_frames),
        ("width", row.width),
        ("height", row.height),
        ("sample_rate", row.sample_rate),
        ("num_channels", row.num_channels),
        ("num_missing_frames", row.num_missing_frames),
    ):
        if number is not None and not (0 < number < math.inf):
            yield f"{name}: {number} is not positive; leave it out where it is not known"
    if row.num_missing_frames and row.num_frames:
        listed = row.num_frames + row.num_missing_frames
        yield f"num_missing_frames: the file is cut off: it holds {row.num_frames} of the {listed} frames that it lists"


class _Files:
    """Which files there are; each folder is listed once, as asking for every file takes far longer."""

    def __init__(self, base: Path) -> None:
        self._base = str(base)
        self._folders: dict[str, dict[str, str]] = {}

    def kind(self, uri: str) -> str | None:
        """`file`, `folder`, or None where there is nothing."""
        folder, _, name = uri.rstrip("/").rpartition("/")
        if uri[:1] == "/" and not folder:
            folder = "/"
        entries = self._folders.get(folder)
        if entries is None:
            entries = self._folders[folder] = _entries(os.path.join(self._base, folder))  # noqa: PTH118
        if name in (".", ".."):
            return "folder"
        return entries.get(name)


def _entries(folder: str) -> dict[str, str]:
    """Kind of everything in a folder; links that lead nowhere are left out."""
    try:
        with os.scandir(folder) as found:
            return {
                entry.name: "folder" if entry.is_dir() else "file"
                for entry in found
                if not entry.is_symlink() or os.path.exists(entry.path)  # noqa: PTH110
            }
    except OSError:
        return {}
