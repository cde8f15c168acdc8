"""The index stage: tables of embeddings -> an index for each, and a gallery of nearest neighbours."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from mmssl.errors import StageError
from mmssl.report.pictures import neighbor_gallery
from mmssl.report.section import Images, Section, Table, write_section
from mmssl.retrieval.index import INDEX_KINDS, Index
from mmssl.stages.clips import open_clips
from mmssl.stages.context import Input, RunContext
from mmssl.stages.embed import tables_of


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
            gallery = neighbor_gallery(
                out, table, open_clips(clips), made, num_queries=gallery_queries, num_neighbors=gallery_neighbors
            )
            galleries.append(gallery)
    counts = Table(("encoder", "clips", "numbers in an embedding", "kind"), tuple(rows))
    write_section(out, Section("Index", (counts, *galleries)))
