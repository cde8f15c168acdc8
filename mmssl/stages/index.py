"""The index stage: tables of embeddings -> an index for each, and a gallery of nearest neighbours."""

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field
from torch.nn.functional import interpolate

from mmssl.data.clip_store import ClipStore
from mmssl.errors import StageError
from mmssl.files import atomic_file
from mmssl.media.image import write_png
from mmssl.report.section import Images, Picture, Section, Table, write_section
from mmssl.retrieval.embeddings import EmbeddingTable
from mmssl.retrieval.index import INDEX_KINDS, Index
from mmssl.stages.clips import open_clips
from mmssl.stages.context import Input, RunContext
from mmssl.stages.embed import tables_of

THUMBNAIL_HEIGHT = 96


def index(
    out: Path,
    context: RunContext,
    *,
    embeddings: Annotated[Path, Input("embed")],
    clips: Annotated[Path, Input("decode")] | None = None,
    kind: str = "flat",
    gallery_queries: Annotated[int, Field(ge=0)] = 6,
    gallery_neighbors: Annotated[int, Field(ge=1)] = 5,
) -> None:
    """Makes an index of each table, ready for `mmssl search`.

    Args:
        out: Gets a folder with an `Index` for each table, and the section of the report.
        context: Facts of the run.
        embeddings: Folder of an embed stage.
        clips: Folder of the decode stage whose clips were embedded, for the pictures of the gallery; none without it.
        kind: Of `INDEX_KINDS`.
        gallery_queries: Clips whose neighbours the report shows.
        gallery_neighbors: Neighbours of each, from other groups than the clip's own.
    """
    if kind not in INDEX_KINDS:
        raise StageError(f"{kind!r} is no kind of index; kinds are {sorted(INDEX_KINDS)}")
    rows: list[tuple[str | int, ...]] = []
    galleries: list[Images] = []
    for name, table in tables_of(embeddings).items():
        made = Index.from_table(table, kind=kind)
        made.save(out / name)
        rows.append((table.encoder, len(made), made.dim, kind))
        if clips is not None and gallery_queries:
            galleries.append(_gallery(out, made, table, open_clips(clips), gallery_queries, gallery_neighbors))
    counts = Table(("encoder", "clips", "numbers in an embedding", "kind"), tuple(rows))
    write_section(out, Section("Index", (counts, *galleries)))


def _gallery(
    out: Path, made: Index, table: EmbeddingTable, source: ClipStore, num_queries: int, num_neighbors: int
) -> Images:
    """The nearest clips of other groups for some clips; held-out clips are asked for where there are any."""
    held_out = [place for place, split in enumerate(table.splits) if split not in (None, "train")]
    candidates = held_out or range(len(table))
    chosen = np.linspace(0, len(candidates) - 1, min(num_queries, len(candidates))).round().astype(int)
    pictures: list[Picture] = []
    for query in [candidates[place] for place in chosen]:
        found = made.search(table.embeddings[query : query + 1], len(table))
        others = [
            (int(place), float(score))
            for place, score in zip(found.positions[0], found.scores[0], strict=True)
            if table.groups[int(place)] != table.groups[query]
        ]
        label = table.labels[query]
        caption = f"query: {table.ids[query]}" + (f", {label}" if label else "")
        pictures.append(Picture(_thumbnail(out, source, query), caption, "query"))
        for place, score in others[:num_neighbors]:
            other = table.labels[place]
            mark = "" if label is None or other is None else "match" if other == label else "miss"
            caption = f"{score:.3f}: {table.ids[place]}" + (f", {other}" if other else "")
            pictures.append(Picture(_thumbnail(out, source, place), caption, mark))
    return Images(
        tuple(pictures),
        title=f"Nearest neighbours by {table.encoder}",
        per_row=num_neighbors + 1,
        caption="Each row: a clip, and the nearest clips of other recordings with their cosine similarity.",
    )


def _thumbnail(out: Path, source: ClipStore, place: int) -> str:
    """The middle frame of a clip, 96 pixels high; gives its file."""
    file = f"clips/{place:06}.png"
    if not (out / file).exists():
        clip = source.clips([place])[0]
        width = max(1, round(THUMBNAIL_HEIGHT * clip.shape[3] / clip.shape[2]))
        small = interpolate(clip[len(clip) // 2][None], (THUMBNAIL_HEIGHT, width), mode="bilinear", antialias=True)
        (out / "clips").mkdir(exist_ok=True)
        with atomic_file(out / file) as partial:
            write_png(partial, small[0])
    return file
