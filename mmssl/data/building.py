"""Makes a manifest of the media files in a folder, and probes them."""

import logging
import os
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from mmssl.data.manifest import (
    Manifest,
    ManifestRow,
    collector_paused,
    media_type_of,
    read_manifest,
    relocated,
    write_manifest,
)
from mmssl.data.manifest_row import without_suffix
from mmssl.errors import ManifestError

logger = logging.getLogger(__name__)

_OTHER_SUFFIXES = (
    "txt md rst csv tsv json jsonl ndjson yaml yml toml ini cfg conf log xml html htm css js py ipynb sh bat c h cpp "
    "srt vtt ass sub lrc textgrid lab align pdf doc docx xls xlsx ppt pptx odt npy npz pt pth ckpt safetensors onnx pkl "
    "pickle h5 hdf5 mat parquet arrow feather db sqlite lock zip tar gz tgz bz2 xz zst 7z rar md5 sha1 sha256 idx bin "
    "slp url lnk"
)
_NO_MEDIA = frozenset(f".{suffix}" for suffix in _OTHER_SUFFIXES.split())
"""Files with these suffixes are not opened to see whether they are media."""

_NUMBERED = re.compile(r"(.*?)(\d+)$", re.DOTALL)


def build_manifest(
    source: Path, out: Path, *, workers: int = 2, probe: bool = True, frame_folders: bool = False
) -> Manifest:
    """Makes a manifest of every media file below a folder, or probes the files of a manifest.

    Files are told by their suffix, and those of unknown suffix by opening them. Hidden files and folders are left out, and
    a folder that several links lead to is read once. A file that cannot be used becomes a row with the status `rejected`
    and the reason. An id is the path without its suffix, or with it where two files would share one.

    Args:
        source: Folder, or a manifest whose rows are to be probed again.
        out: Manifest to write; its rows are relative to its folder.
        workers: Processes that open files.
        probe: Whether to open files at all; without it, duration, size, rate and streams stay unknown, and files of
            unknown suffix are left out.
        frame_folders: Take a folder of nothing but numbered images as one video.

    Returns:
        The manifest, as written.

    Raises:
        ManifestError: If there is no media file, or the source is neither a folder nor a manifest.
    """
    if source.is_dir():
        place = Path(os.path.relpath(source.resolve(), out.parent.resolve())).as_posix()
        rows = folder_rows(source, frame_folders=frame_folders, unknown=probe, skip=out, place=place)
    elif source.is_file():
        rows = list(relocated(read_manifest(source).rows, source.parent, out.parent))
    else:
        raise ManifestError(f"{source}: there is no such folder; give a folder of media, or a manifest to probe")
    found = len(rows)
    if probe:
        out.parent.mkdir(parents=True, exist_ok=True)
        rows = probed(rows, out.parent, workers=workers)
    if source.is_dir() and len(rows) < found:
        ids = unique_ids([posixpath.relpath(row.uri, place) for row in rows])
        rows = [replace(row, id=row_id) for row, row_id in zip(rows, ids, strict=True)]
    if not rows:
        raise ManifestError(f"{source}: holds no media file; video, audio and images are told by suffix and content")
    write_manifest(out, rows)
    return Manifest(out, tuple(rows))


def unusable_parts(rows: Iterable[ManifestRow]) -> Iterator[str]:
    """A sentence for each file that cannot be used, or not to its end."""
    for row in rows:
        if row.status == "rejected":
            yield f"{row.uri}: rejected: {row.error_message}"
        elif row.num_missing_frames:
            yield f"{row.uri}: is cut off: after {row.num_frames} frames, {row.num_missing_frames} are missing"


@collector_paused()
def folder_rows(
    folder: Path, *, frame_folders: bool = False, unknown: bool = False, skip: Path | None = None, place: str = "."
) -> list[ManifestRow]:
    """A row for each media file below a folder, by path, unprobed; ids are paths within the folder.

    Args:
        folder: Where to look.
        frame_folders: Take a folder of nothing but numbered images as one video.
        unknown: Also give rows with an empty media type for files whose suffix says nothing.
        skip: A file to leave out.
        place: Where the folder lies, as the rows' paths are to say.
    """
    found: list[tuple[str, str]] = []
    for path, media_type in _walk(folder, frame_folders=frame_folders):
        if media_type or unknown:
            found.append((path, media_type))
    if skip is not None and skip.parent.resolve().is_relative_to(folder.resolve()):
        own = Path(os.path.relpath(skip.resolve(), folder.resolve())).as_posix()
        found = [(path, media_type) for path, media_type in found if path != own]
    ids = unique_ids([path for path, _ in found])
    before = "" if place == "." else f"{place}/"
    return [
        ManifestRow(id=row_id, uri=before + path, media_type=media_type)
        for row_id, (path, media_type) in zip(ids, found, strict=True)
    ]


def probed(rows: Sequence[ManifestRow], root: Path, *, workers: int) -> list[ManifestRow]:
    """Rows with what their files hold; rows of unknown media type whose file is no media are left out."""
    from mmssl.data.probing import probe_files, probed_row

    paths = dict.fromkeys(root / row.uri for row in rows)
    outcomes = dict(zip(paths, probe_files(list(paths), workers=workers), strict=True)) if paths else {}
    results = [probed_row(row, outcomes[root / row.uri]) for row in rows]
    strangers = [row.uri for row in results if not row.media_type]
    if strangers:
        logger.warning("%d files are no media and were left out: %s", len(strangers), ", ".join(strangers[:5]))
    return [row for row in results if row.media_type]


def unique_ids(paths: Sequence[str]) -> list[str]:
    """An id for each path: the path without its suffix, or with it where another path would have the same id.

    Paths that stand several times get `#0`, `#1`, ... appended.
    """
    short = [without_suffix(path) for path in paths]
    if len(set(short)) == len(paths) and set(short).isdisjoint(paths):
        return short
    times = Counter(paths)
    stems = {path: without_suffix(path) for path in times}
    owners = Counter(stems.values())
    seen: Counter[str] = Counter()
    ids = []
    for path in paths:
        stem = stems[path]
        row_id = path if owners[stem] > 1 or stem in times else stem
        if times[path] > 1:
            number = seen[path]
            seen[path] += 1
            row_id = f"{row_id}#{number}"
        ids.append(row_id)
    return ids


def with_unique_ids(rows: Sequence[ManifestRow]) -> list[ManifestRow]:
    """The rows, those whose id stands several times with `#0`, `#1`, ... appended to it."""
    times = Counter(row.id for row in rows)
    seen: Counter[str] = Counter()
    unique = []
    for row in rows:
        unique.append(replace(row, id=f"{row.id}#{seen[row.id]}") if times[row.id] > 1 else row)
        seen[row.id] += 1
    return unique


def _walk(folder: Path, *, frame_folders: bool) -> Iterator[tuple[str, str]]:
    """Path and media type, or an empty text, of each file below a folder, in order; of frame folders, the folder."""
    visited: set[tuple[int, int]] = set()
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        place = os.path.join(folder, inside)  # noqa: PTH118
        status = os.stat(place)  # noqa: PTH116
        if (status.st_dev, status.st_ino) in visited:
            continue
        visited.add((status.st_dev, status.st_ino))
        files, folders = _listed(place)
        prefix = f"{inside}/" if inside else ""
        if frame_folders and inside and not folders and are_frames(files):
            yield inside, "video"
            continue
        for name in files:
            media_type = media_type_of(name)
            if media_type is not None or PurePosixPath(name).suffix.lower() not in _NO_MEDIA:
                yield prefix + name, media_type or ""
        waiting += [prefix + name for name in reversed(folders)]


def _listed(folder: str) -> tuple[list[str], list[str]]:
    """Names of the files and of the folders in a folder, sorted; hidden ones and links that lead nowhere are left out."""
    files, folders = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    folders.append(entry.name)
                elif entry.is_file():
                    files.append(entry.name)
    except PermissionError:
        logger.warning("%s: may not be read and was left out", folder)
    return sorted(files), sorted(folders)


def are_frames(names: Sequence[str]) -> bool:
    """Whether file names are those of the frames of one video: two or more images that differ in their number alone."""
    parts = set()
    for name in names:
        stem, suffix = os.path.splitext(name)  # noqa: PTH122
        match = _NUMBERED.match(stem)
        if match is None or media_type_of(name) != "image":
            return False
        parts.add((match[1], suffix))
    return len(names) > 1 and len(parts) == 1
