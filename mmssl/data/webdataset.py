"""Reads WebDataset archives: files that share a name up to the first dot are one sample."""

from pathlib import Path, PurePosixPath
from typing import Any

import orjson

from mmssl.data.archives import TAR_SUFFIXES, tar_damage, tar_members, write_whole
from mmssl.data.manifest import ManifestRow, media_type_of
from mmssl.data.tables import field_values, finished_rows, meanings
from mmssl.errors import ManifestError
from mmssl.progress import Progress

_TEXT_FIELDS = {"txt": "caption", "text": "caption", "caption": "caption", "transcript": "caption", "cls": "label"}


def shards_in(source: Path) -> list[Path]:
    """The tar archives that a path is or, as a folder, holds."""
    if source.is_file():
        return [source] if source.name.lower().endswith(TAR_SUFFIXES) else []
    return sorted(file for file in source.iterdir() if file.is_file() and file.name.lower().endswith(TAR_SUFFIXES))


def webdataset_rows(shards: list[Path], folder: Path) -> tuple[list[ManifestRow], list[str]]:
    """Extracts the media of archives, and gives a row for each media file with what its sample says of it.

    `.txt` is the caption, `.cls` the label; the fields of `.json` are taken as the columns of a table are.

    Args:
        shards: Archives; each is extracted to a folder of its name.
        folder: Where those folders go.

    Returns:
        Rows, relative to the folder, and the endings of the members that were left out.

    Raises:
        ManifestError: If an archive is damaged or holds what could be written outside its folder, two members share a name,
            or a text cannot be read.
    """
    drafts: list[tuple[int, dict[str, Any]]] = []
    ignored: set[str] = set()
    with Progress("extract", len(shards), unit="archives") as progress:
        for shard in shards:
            with tar_damage(shard):
                drafts += [(0, values) for values in _shard_rows(shard, folder, ignored)]
            progress.advance()
    return finished_rows(shards[0].parent, drafts), sorted(ignored)


def _shard_rows(shard: Path, folder: Path, ignored: set[str]) -> list[dict[str, Any]]:
    """Fields of the rows of one archive."""
    inside = shard.name[: shard.name.index(".")]
    samples: dict[str, dict[str, Any]] = {}
    media: dict[str, list[str]] = {}
    seen: set[PurePosixPath] = set()
    for path, content in tar_members(shard):
        stem, _, ending = path.name.partition(".")
        if not stem or not ending:
            ignored.add(path.name)
            continue
        if path in seen:
            raise ManifestError(f"{shard}: holds {path} twice")
        seen.add(path)
        key = (path.parent / stem).as_posix()
        fields = samples.setdefault(key, {})
        if ending in _TEXT_FIELDS:
            fields[_TEXT_FIELDS[ending]] = _text(shard, path, content.read())
        elif ending == "json":
            fields.update({**_object(shard, path, content.read()), **fields})
        elif media_type_of(path.name) is not None:
            write_whole(folder / inside / path, content.read)
            media.setdefault(key, []).append(f"{inside}/{path.as_posix()}")
        else:
            ignored.add(ending)
    return [
        {**samples[key], "uri": uri, **({"group": f"{inside}/{key}"} if len(uris) > 1 else {})}
        for key, uris in media.items()
        for uri in uris
    ]


def _text(shard: Path, path: PurePosixPath, content: bytes) -> str:
    try:
        return content.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise ManifestError(f"{shard}: {path} is not UTF-8") from error


def _object(shard: Path, path: PurePosixPath, content: bytes) -> dict[str, Any]:
    """The fields of a row that a sample's JSON holds."""
    try:
        values = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise ManifestError(f"{shard}: {path} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ManifestError(f"{shard}: {path} is no JSON object")
    present = {name: value for name, value in values.items() if value is not None and value != ""}
    known = {
        field: column for field, column in meanings(list(present)).items() if field not in ("uri", "id", "media_type")
    }
    return field_values(present, known)
