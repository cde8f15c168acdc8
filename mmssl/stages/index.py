"""The index stage: tables of embeddings -> an index for each, and a gallery of nearest neighbours."""

import json
from pathlib import Path
from typing import Annotated

from pydantic import Field

from mmssl.errors import StageError
from mmssl.files import atomic_file
from mmssl.report.pictures import neighbor_gallery
from mmssl.report.section import Block, LinePlot, Section, Series, Table, Text, Warn, write_section
from mmssl.retrieval.embeddings import EmbeddingTable
from mmssl.retrieval.index_kinds import INDEX_KINDS
from mmssl.retrieval.index_tuning import AUTO, Tuning, tuned_index
from mmssl.stages.clips import open_clips
from mmssl.stages.context import Input, RunContext
from mmssl.stages.embed import tables_of

CURVE = "recall.json"
"""Beside an index that is not exact: how it was tuned."""


def index(
    out: Path,
    context: RunContext,
    *,
    embeddings: Annotated[Path, Input("embed")],
    clips: Annotated[Path, Input("decode")] | None = None,
    kind: str = AUTO,
    target_recall: Annotated[float, Field(gt=0, lt=1)] = 0.95,
    recall_at: Annotated[int, Field(ge=1)] = 10,
    queries: Annotated[Path, Input("embed")] | None = None,
    gallery_queries: Annotated[int, Field(ge=0)] = 6,
    gallery_neighbors: Annotated[int, Field(ge=1)] = 5,
) -> None:
    """Makes an index of each table, ready for `mmssl search`.

    Args:
        out: Gets a folder with an `Index` for each table, and the section of the report.
        context: Facts of the run.
        embeddings: Folder of an embed stage.
        clips: Folder of the decode stage whose clips were embedded, for the pictures of the gallery; none without it.
        kind: `flat`, `hnsw`, `ivf` or `ivf_pq`; `auto` goes by the number of embeddings, and is exact below 50,000.
        target_recall: Share of the true neighbors that a search is to find, of kinds that are not exact.
        recall_at: Neighbors that it is measured on.
        queries: Folder of embeddings that stand for what will be looked up, by the same encoders; half of them tune an index that
            is not exact, the other half measure it. Held-out rows of the index where not given.
        gallery_queries: Clips whose neighbours the report shows.
        gallery_neighbors: Neighbours of each, from other groups than the clip's own.
    """
    if kind not in (AUTO, *INDEX_KINDS):
        raise StageError(f"{kind!r} is no kind of index; kinds are {[AUTO, *INDEX_KINDS]}")
    rows: list[tuple[str | int, ...]] = []
    blocks: list[Block] = []
    for name, table in tables_of(embeddings).items():
        asked = None if queries is None else _queries_for(table, queries)
        made, tuning = tuned_index(
            table, kind=kind, target=target_recall, k=recall_at, seed=context.seed, queries=asked
        )
        made.save(out / name)
        rows.append((table.encoder, len(made), made.dim, made.kind))
        if tuning is not None:
            with atomic_file(out / name / CURVE) as partial:
                partial.write_text(json.dumps(tuning.to_json(), indent=2) + "\n", encoding="utf-8")
            blocks += tuning_blocks(tuning, table.encoder)
        if clips is not None and gallery_queries:
            gallery = neighbor_gallery(
                out, table, open_clips(clips), made, num_queries=gallery_queries, num_neighbors=gallery_neighbors
            )
            blocks.append(gallery)
    counts = Table(("encoder", "clips", "numbers in an embedding", "kind"), tuple(rows))
    write_section(out, Section("Index", (counts, *blocks)))


def _queries_for(table: EmbeddingTable, folder: Path) -> EmbeddingTable:
    """The table of a folder that is by the encoder of another.

    Raises:
        StageError: If there is none.
    """
    found = tables_of(folder)
    for queries in found.values():
        if queries.encoder_digest == table.encoder_digest:
            return queries
    names = ", ".join(queries.encoder for queries in found.values())
    raise StageError(
        f"{folder}: holds queries by {names}, and none by {table.encoder}, which made the index's embeddings"
    )


def tuning_blocks(tuning: Tuning, encoder: str) -> list[Block]:
    """What an index reaches, in words and as a curve."""
    said = f"{encoder}: {tuning.in_words()}"
    points = sorted((point.milliseconds, point.recall) for point in tuning.curve)
    reached = Series(tuning.kind, tuple(time for time, _ in points), tuple(recall for _, recall in points))
    times = (min(points)[0], max(*points, (tuning.exact_milliseconds, 0.0))[0])
    return [
        Text(said) if tuning.met else Warn(said),
        LinePlot(
            f"Recall and time of a search, {encoder}",
            "milliseconds a query",
            f"recall@{tuning.k}",
            (reached, Series("target", times, (tuning.target, tuning.target))),
            caption=f"Each point is an effort, measured on {tuning.num_chosen_on} {tuning.whose} queries; exact search "
            f"takes {tuning.exact_milliseconds:.2f} ms.",
        ),
    ]
