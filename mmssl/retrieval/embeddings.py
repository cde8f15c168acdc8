"""A table of embeddings with what is known of each clip, and how an encoder and a clip source make one."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from jaxtyping import Float32
from torch import Tensor

from mmssl.data.dataset import ClipItem, ClipSource, sample_rate_of
from mmssl.errors import RetrievalError
from mmssl.models.encoder import encoder_input
from mmssl.models.loading import LoadedEncoder
from mmssl.progress import Progress
from mmssl.retrieval.over_time import OverTime, over_time
from mmssl.retrieval.storage import read_folder, write_folder

RECORD = "table.json"
COLUMNS = ("ids", "row_ids", "labels", "splits", "groups")


@dataclass(frozen=True)
class EmbeddingTable:
    """One embedding a clip, in the order of the source.

    Args:
        ids: Of the clips, unique.
        embeddings: As the encoder gave them, not normalised; a memory map where the table was loaded.
        row_ids: Manifest row of each clip.
        labels: Class of each clip, or None.
        splits: Split of each clip, or None.
        groups: Clips of one source share it.
        encoder: Reference of the encoder.
        encoder_digest: Names the encoder's weights.
        source_digest: Names the clips.
        over_time: What was kept of each clip's frames, see `retrieval.over_time`.

    Raises:
        RetrievalError: If the columns differ in length, an id stands twice, or a value is not finite.
    """

    ids: tuple[str, ...]
    embeddings: Float32[np.ndarray, "items dim"]
    row_ids: tuple[str, ...]
    labels: tuple[str | None, ...]
    splits: tuple[str | None, ...]
    groups: tuple[str, ...]
    encoder: str
    encoder_digest: str
    source_digest: str
    over_time: str = "mean"

    def __post_init__(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in (*COLUMNS, "embeddings")}
        if len(set(lengths.values())) > 1:
            raise RetrievalError(f"an embedding table needs columns of one length, got {lengths}")
        repeated = [id_ for id_, count in Counter(self.ids).items() if count > 1]
        if repeated:
            raise RetrievalError(
                f"{len(repeated)} ids stand more than once in an embedding table, first {repeated[0]!r}"
            )
        bad = np.flatnonzero(~np.isfinite(self.embeddings).all(axis=1))
        if len(bad):
            raise RetrievalError(
                f"{self.encoder}: the embeddings of {len(bad)} of {len(self)} clips are not finite, "
                f"first of clip {self.ids[bad[0]]!r}; check the clip and the encoder's training"
            )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return int(self.embeddings.shape[1])

    @classmethod
    def of_items(
        cls,
        items: Sequence[ClipItem],
        embeddings: Float32[np.ndarray, "items dim"],
        loaded: LoadedEncoder,
        source: ClipSource,
        *,
        ids: tuple[str, ...],
        labels: tuple[str | None, ...],
        over_time: OverTime = "mean",
    ) -> "EmbeddingTable":
        """The table of what an encoder made of clips, or of parts of them, each with the item that it is of.

        Args:
            items: Of the clips; one may stand several times.
            embeddings: One for each.
            loaded: The encoder.
            source: The clips.
            ids: Unique names.
            labels: Of the clips or parts.
            over_time: See `EmbeddingTable`.
        """
        return cls(
            ids=ids,
            embeddings=embeddings,
            row_ids=tuple(item.row_id for item in items),
            labels=labels,
            splits=tuple(item.split for item in items),
            groups=tuple(item.group for item in items),
            encoder=loaded.reference,
            encoder_digest=loaded.digest,
            source_digest=source.digest,
            over_time=over_time,
        )

    def subset(self, positions: Sequence[int]) -> "EmbeddingTable":
        """The table with the clips at some positions, in their order."""
        columns = {name: tuple(getattr(self, name)[position] for position in positions) for name in COLUMNS}
        embeddings = self.embeddings[np.asarray(positions, dtype=np.int64)]
        return EmbeddingTable(
            embeddings=embeddings,
            encoder=self.encoder,
            encoder_digest=self.encoder_digest,
            source_digest=self.source_digest,
            over_time=self.over_time,
            **columns,
        )

    def save(self, folder: Path) -> None:
        """Writes `embeddings.npy`, `items.parquet` and, last, `table.json`."""
        items = pa.table({name[:-1]: pa.array(getattr(self, name), pa.string()) for name in COLUMNS})
        facts = {
            "encoder": self.encoder,
            "encoder_digest": self.encoder_digest,
            "source_digest": self.source_digest,
            "over_time": self.over_time,
            "count": len(self),
            "dim": self.dim,
        }

        def write_embeddings(path: Path) -> None:
            with path.open("wb") as file:
                np.save(file, np.ascontiguousarray(self.embeddings))

        writers = {"embeddings.npy": write_embeddings, "items.parquet": lambda path: pq.write_table(items, path)}
        write_folder(folder, RECORD, facts, writers)

    @classmethod
    def load(cls, folder: Path) -> "EmbeddingTable":
        """Reads a table; the embeddings are memory-mapped, read-only.

        Raises:
            RetrievalError: If there is no table, a file is damaged, or the files do not fit each other.
        """
        facts = read_folder(folder, RECORD, noun="embedding table")
        try:
            embeddings = np.load(folder / "embeddings.npy", mmap_mode="r", allow_pickle=False)
            items = pq.read_table(folder / "items.parquet")
            columns: dict[str, Any] = {name: tuple(items.column(name[:-1]).to_pylist()) for name in COLUMNS}
            shape = (int(facts["count"]), int(facts["dim"]))
            names = ("encoder", "encoder_digest", "source_digest", "over_time")
            origin: dict[str, Any] = {key: str(facts[key]) for key in names}
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            raise RetrievalError(f"{folder}: is damaged ({error!r}); embed again") from error
        if embeddings.dtype != np.float32 or embeddings.shape != shape or items.num_rows != shape[0]:
            raise RetrievalError(
                f"{folder}: table.json says float32 {shape}, embeddings.npy holds {embeddings.dtype} "
                f"{embeddings.shape} and items.parquet {items.num_rows} items; embed again"
            )
        return cls(embeddings=embeddings, **columns, **origin)


def embed_clips(
    loaded: LoadedEncoder,
    source: ClipSource,
    *,
    keep: OverTime = "mean",
    batch_size: int = 64,
    device: torch.device | str = "cpu",
) -> EmbeddingTable:
    """Embeds every clip as it is stored, frame by frame.

    Args:
        loaded: The encoder; it is put into evaluation mode.
        source: The clips; `epoch` 0 where it samples anew each epoch.
        keep: How the frames' embeddings become one, see `over_time`; `mean` is what the encoder takes for it.
        batch_size: Frames in one forward pass, > 0; a clip may be longer.
        device: Where the encoder runs.

    Raises:
        RetrievalError: If there is no clip, or an embedding is not finite; the message names the clip.
        ConfigError: If the encoder takes pictures and the clips are sound, or the other way round.
    """
    if batch_size <= 0:
        raise ValueError(f"batch_size must be positive, got {batch_size}")
    items = list(source.items)
    if not items:
        raise RetrievalError("there is no clip to embed; look at the rejects of the stage that decoded")
    loaded.encoder.check_fits(sample_rate_of(source))
    encoder = loaded.encoder.to(device).eval()
    num_frames = max(1, len(items[0].pts_seconds))
    clips_per_batch = max(1, batch_size // num_frames)
    embeddings: list[Tensor] = []
    with torch.inference_mode(), Progress(f"embed {loaded.reference}", len(items), unit="clips") as progress:
        for start in range(0, len(items), clips_per_batch):
            positions = range(start, min(start + clips_per_batch, len(items)))
            clips = source.clips(positions)
            frames = clips.flatten(0, 1)
            parts = [encoder(encoder_input(part.to(device))).float().cpu() for part in torch.split(frames, batch_size)]
            each = torch.cat(parts).reshape(*clips.shape[:2], -1)
            embedded = encoder.over_frames(each.to(device)).cpu() if keep == "mean" else over_time(each, keep=keep)
            broken = torch.nonzero(~torch.isfinite(embedded).all(dim=1))
            if len(broken):
                clip_id = items[start + int(broken[0])].id
                raise RetrievalError(
                    f"{loaded.reference}: the embedding of clip {clip_id!r} is not finite; "
                    f"look at the clip, and at the loss of the encoder's training"
                )
            embeddings.append(embedded)
            progress.advance(len(embedded))
    return EmbeddingTable.of_items(
        items,
        torch.cat(embeddings).numpy(),
        loaded,
        source,
        ids=tuple(item.id for item in items),
        labels=tuple(item.label for item in items),
        over_time=keep,
    )
