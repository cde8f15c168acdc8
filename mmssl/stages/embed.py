"""The embed stage: clips and encoders -> a table of embeddings for each encoder."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from mmssl.data.dataset import ClipSource, SubsetClips
from mmssl.evaluation.evaluate import folder_name
from mmssl.models.loading import LoadedEncoder, load_encoder
from mmssl.report.section import Section, Table, write_section
from mmssl.retrieval.embeddings import COLUMNS, RECORD, EmbeddingTable, embed_clips
from mmssl.retrieval.over_time import OverTime
from mmssl.stages.clips import of_splits, open_clips
from mmssl.stages.context import Input, RunContext
from mmssl.stages.folder import remove

EncoderReference = Annotated[str, Input("train")]

PARTS = ".parts"


def embed(
    out: Path,
    context: RunContext,
    *,
    clips: Annotated[Path, Input("decode")],
    encoders: list[EncoderReference],
    over_time: OverTime = "mean",
    splits: list[str] | None = None,
    batch_size: Annotated[int, Field(gt=0)] = 64,
    clips_per_part: Annotated[int, Field(gt=0)] = 256,
) -> None:
    """Embeds every clip by every encoder.

    Args:
        out: Gets a folder with an `EmbeddingTable` for each encoder, and the section of the report.
        context: Facts of the run.
        clips: Folder of a decode stage.
        encoders: References, such as `$tracker`, `random:$tracker`, `pixels`.
        over_time: What is kept of a clip's frames, see `retrieval.over_time`: `mean`, `std`, `mean_std`, `concat`, `deviations`.
        splits: Of the clips to embed; all where not given.
        batch_size: Frames in one forward pass.
        clips_per_part: Clips that an interrupted run need not embed again.
    """
    source = open_clips(clips) if splits is None else of_splits(open_clips(clips), splits)
    rows: list[tuple[str | int, ...]] = []
    for reference in encoders:
        name = context.label(reference)
        folder = out / folder_name(name)
        if not (folder / RECORD).exists():
            loaded = replace(load_encoder(reference, seed=context.seed), reference=name)
            table = _embed_in_parts(
                folder, loaded, source, keep=over_time, batch_size=batch_size, clips_per_part=clips_per_part
            )
            remove(folder / PARTS)
            table.save(folder)
        remove(folder / PARTS)
        table = EmbeddingTable.load(folder)
        rows.append((name, len(table), table.dim, table.encoder_digest))
    write_section(
        out,
        Section(
            "Embeddings",
            (Table(("encoder", "clips", "numbers in an embedding", "digest of the weights"), tuple(rows)),),
        ),
    )


def tables_of(folder: Path) -> dict[str, EmbeddingTable]:
    """The tables of an embed stage by folder name; or the one that the folder itself is, by its own name.

    Raises:
        RetrievalError: If there is none, or a file is damaged.
    """
    found = [file.parent for file in sorted(folder.glob(f"*/{RECORD}"))]
    return {table.name: EmbeddingTable.load(table) for table in found or [folder]}


def _embed_in_parts(
    folder: Path, loaded: LoadedEncoder, source: ClipSource, *, keep: OverTime, batch_size: int, clips_per_part: int
) -> EmbeddingTable:
    parts = []
    for start in range(0, len(source), clips_per_part):
        part = folder / PARTS / f"{start:09}"
        if not (part / RECORD).exists():
            positions = range(start, min(start + clips_per_part, len(source)))
            embed_clips(loaded, SubsetClips(source, positions), keep=keep, batch_size=batch_size).save(part)
        parts.append(EmbeddingTable.load(part))
    return replace(joined(parts), source_digest=source.digest)


def joined(parts: Sequence[EmbeddingTable]) -> EmbeddingTable:
    """Tables of one encoder, end to end."""
    columns: dict[str, Any] = {
        name: tuple(entry for part in parts for entry in getattr(part, name)) for name in COLUMNS
    }
    return replace(parts[0], embeddings=np.concatenate([part.embeddings for part in parts]), **columns)
