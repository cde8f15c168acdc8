"""The duplicates stage: tables of embeddings -> groups of items that show the same, as tables and a gallery."""

import csv
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from mmssl.data.dataset import ClipSource, SubsetClips, evenly_spaced, sample_rate_of
from mmssl.data.edited_clips import EDITS, EditedClips
from mmssl.errors import StageError
from mmssl.evaluation.evaluate import folder_name
from mmssl.files import atomic_file
from mmssl.models.loading import load_encoder
from mmssl.report.pictures import write_thumbnail
from mmssl.report.section import Block, Images, Picture, Section, Table, Text, write_section
from mmssl.retrieval.duplicates import calibration, groups_of, near_pairs
from mmssl.retrieval.embeddings import EmbeddingTable, embed_clips
from mmssl.retrieval.index import unit_rows
from mmssl.retrieval.storage import checksum
from mmssl.stages.clips import open_clips
from mmssl.stages.context import Input, RunContext
from mmssl.stages.decode import read_tasks
from mmssl.stages.embed import EncoderReference, tables_of
from mmssl.stages.record import read_record

ORIGINALS = 100
SHOWN_GROUPS = 60
PICTURES_A_GROUP = 6
TABLE = "duplicates"


@dataclass(frozen=True)
class Member:
    """An item of a group.

    Args:
        group: Number of the group, from 1.
        id: Of the clip.
        path: Of its file.
        kind: `first` of the group; `exact`, where its file has the very bytes of an earlier one; else `near`.
        copy_of: The id of that earlier one.
        similarity: Cosine similarity with the first of the group.
    """

    group: int
    id: str
    path: str
    kind: str
    copy_of: str | None
    similarity: float


def duplicates(
    out: Path,
    context: RunContext,
    *,
    clips: Annotated[Path, Input("decode")],
    embeddings: Annotated[Path, Input("embed")],
    encoders: list[EncoderReference],
    threshold: Annotated[float, Field(gt=-1, le=1)] | None = None,
) -> None:
    """Finds items that show the same: files with the same bytes, and clips with nearly the same embedding.

    Args:
        out: Gets `duplicates.jsonl` and `duplicates.csv` for each encoder, and the gallery in the section of the report.
        context: Facts of the run.
        clips: Folder of a decode stage.
        embeddings: Folder of the embed stage that embedded them.
        encoders: Those of the embed stage.
        threshold: Cosine similarity from which on two clips are near-duplicates; calibrated on the data where not given.
    """
    source = open_clips(clips)
    if sample_rate_of(source) is not None:
        raise StageError("duplicates are found among pictures; these clips are sound")
    paths = _paths(clips)
    contents = same_bytes(sorted(set(paths.values())))
    tables = tables_of(embeddings)
    blocks: list[Block] = []
    for reference in encoders:
        name = folder_name(context.label(reference))
        table = tables[name]
        said = f"Two items are near-duplicates from a given cosine similarity of {threshold} on."
        limit = threshold
        if limit is None:
            originals = evenly_spaced(len(table), ORIGINALS)
            loaded = load_encoder(reference, seed=context.seed)
            copies = [
                np.asarray(embed_clips(loaded, EditedClips(SubsetClips(source, originals), edit)).embeddings)
                for edit in EDITS
            ]
            found = calibration(table, originals, copies, seed=context.seed)
            limit, said = found.threshold, found.in_words()
        groups = members(table, limit, paths, contents)
        _write(out / name, groups)
        kinds = Counter(member.kind for group in groups for member in group)
        counts = ((len(groups), kinds["exact"], kinds["near"]),)
        blocks += [
            Text(f"{table.encoder}: {said}"),
            Table(("groups", "exact copies", "near-duplicates"), counts, title=f"Duplicates by {table.encoder}"),
            *_gallery(out, name, groups, source),
        ]
    write_section(out, Section("Duplicates", tuple(blocks)))


def members(
    table: EmbeddingTable, threshold: float, paths: dict[str, Path], contents: dict[Path, Path]
) -> list[list[Member]]:
    """The groups, with what each member is.

    Args:
        table: Embeddings.
        threshold: Cosine similarity.
        paths: The file of each row.
        contents: See `same_bytes`.
    """
    pairs, _ = near_pairs(table, threshold)
    groups = []
    for number, places in enumerate(groups_of(pairs, len(table)), 1):
        units = unit_rows(table.embeddings[np.asarray(places)])
        seen: dict[object, str] = {}
        group: list[Member] = []
        for place, unit in zip(places, units, strict=True):
            path = paths[table.row_ids[place]]
            moment = table.ids[place].removeprefix(table.row_ids[place])
            content = (contents.get(path, path), moment)
            copy_of = seen.setdefault(content, table.ids[place])
            is_copy = copy_of != table.ids[place]
            kind = "exact" if is_copy else "near" if group else "first"
            similarity = float(units[0] @ unit)
            group.append(Member(number, table.ids[place], str(path), kind, copy_of if is_copy else None, similarity))
        groups.append(group)
    return groups


def same_bytes(paths: Sequence[Path]) -> dict[Path, Path]:
    """For each file whose bytes another has too, the first of those that have them; files of a size of their own are not read."""
    sizes = Counter(path.stat().st_size for path in paths if path.is_file())
    firsts: dict[str, Path] = {}
    return {
        path: firsts.setdefault(checksum(path), path)
        for path in paths
        if path.is_file() and sizes[path.stat().st_size] > 1
    }


def _paths(clips: Path) -> dict[str, Path]:
    """The file of each row of a decode stage."""
    manifest = read_record(clips)["settings"]["manifest"]
    files = [manifest] if isinstance(manifest, str) else manifest
    return {
        task.row.id: task.path.parent.resolve() / task.path.name for task in read_tasks([Path(file) for file in files])
    }


def _write(folder: Path, groups: Sequence[Sequence[Member]]) -> None:
    """A line for each member, as JSON and as CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [asdict(member) for group in groups for member in group]
    with atomic_file(folder / f"{TABLE}.jsonl") as partial:
        partial.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")
    with atomic_file(folder / f"{TABLE}.csv") as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(Member.__dataclass_fields__))
        writer.writeheader()
        writer.writerows(rows)


def _gallery(out: Path, name: str, groups: Sequence[Sequence[Member]], source: ClipSource) -> list[Images]:
    """A row of pictures for each of the largest groups."""
    place_of = {item.id: place for place, item in enumerate(source.items)}
    pictures: list[Picture] = []
    for group in groups[:SHOWN_GROUPS]:
        for member in group[:PICTURES_A_GROUP]:
            file = f"{name}/pictures/{place_of[member.id]:06}.jpg"
            write_thumbnail(out / file, source, place_of[member.id])
            pictures.append(Picture(file, f"{member.group}: {member.kind}, {member.similarity:.3f}, {member.id}"))
        pictures += [Picture("")] * (PICTURES_A_GROUP - len(group))
    if not pictures:
        return []
    more = f"; {len(groups) - SHOWN_GROUPS} further groups are in the tables" if len(groups) > SHOWN_GROUPS else ""
    return [
        Images(
            tuple(pictures),
            title="Groups, the largest first",
            per_row=PICTURES_A_GROUP,
            caption=f"Each row: the first of a group, exact copies, near-duplicates, with the similarity to the first{more}.",
        )
    ]
