"""Tables of made embeddings, and what protocols say about them."""

from typing import Any

import numpy as np

from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject
from mmssl.models.loading import load_encoder
from mmssl.retrieval.embeddings import EmbeddingTable


def table_of(embeddings: np.ndarray, **columns: tuple[Any, ...]) -> EmbeddingTable:
    """A table whose clips are each a row and a group of their own, without split, where columns do not say otherwise."""
    ids = tuple(f"clip{number}" for number in range(len(embeddings)))
    columns = {"labels": ("a",) * len(ids), "splits": (None,) * len(ids), "groups": ids, **columns}
    return EmbeddingTable(
        ids=ids,
        embeddings=np.asarray(embeddings, np.float32),
        row_ids=ids,
        encoder="toy",
        encoder_digest=load_encoder("pixels").digest,
        source_digest="clips",
        **columns,
    )


def subject_of(table: EmbeddingTable, **facts: Any) -> Subject:
    return Subject(encoder=load_encoder("pixels"), dataset="toys", name="toy", tables=(table,), **{"seed": 7, **facts})


def scores(rows: list[ReportRow], encoder: str = "toy") -> dict[str, float | None]:
    return {row.metric: row.value for row in rows if row.encoder == encoder}


def noisy_table(
    count: int = 90, *, splits: bool = True, scale: float = 0.7, num_classes: int = 6, per_group: int = 6
) -> EmbeddingTable:
    """Classes as directions with noise; every third clip is of the split `test`, in groups of their own."""
    random = np.random.default_rng(3)
    classes = random.integers(0, num_classes, count)
    embeddings = (np.eye(8)[classes] + random.normal(scale=scale, size=(count, 8))).astype(np.float32)
    split = tuple("test" if splits and place % 3 == 0 else "train" for place in range(count))
    groups = tuple(f"{split[place]}{place // per_group}" for place in range(count))
    return table_of(embeddings, labels=tuple(f"class{number}" for number in classes), splits=split, groups=groups)
