from pathlib import Path

import numpy as np
import pytest

from mmssl.data.manifest import Manifest, ManifestRow
from mmssl.errors import EvaluationError
from mmssl.evaluation.knn import knn
from mmssl.evaluation.linear_probe import linear_probe
from mmssl.evaluation.subject import Subject
from mmssl.models.loading import load_encoder
from mmssl.retrieval.embeddings import EmbeddingTable

LAB = load_encoder("lab")
COUNT = 40


def subject(*, rows: int = COUNT, with_manifest: bool = True) -> Subject:
    """Clips whose embedding holds their color but not their shape; half are held out, and some have no shape."""
    numbers = np.arange(COUNT)
    embeddings = np.eye(4, dtype=np.float32)[numbers % 4] + 0.01 * numbers[:, None].astype(np.float32) / COUNT
    table = EmbeddingTable(
        ids=tuple(f"r{i}#0" for i in numbers),
        embeddings=embeddings,
        row_ids=tuple(f"r{i}" for i in numbers),
        labels=(None,) * COUNT,
        splits=tuple("test" if i // 4 % 2 else "train" for i in numbers),
        groups=tuple(f"r{i}" for i in numbers),
        encoder="lab",
        encoder_digest=LAB.digest,
        source_digest="clips",
        over_time="deviations",
    )
    extra = [{"color": f"c{i % 4}", **({"shape": f"s{i % 3}"} if i % 5 else {})} for i in range(rows)]
    manifest = Manifest(
        Path("m.jsonl"), tuple(ManifestRow(f"r{i}", "a.mp4", "video", extra=extra[i]) for i in range(rows))
    )
    return Subject(LAB, "made", manifest=manifest if with_manifest else None, tables=(table,))


def test_each_column_is_scored_under_its_name() -> None:
    for evaluation, main, settings in ((knn, "top1@k=3", {"ks": (3,)}), (linear_probe, "top1", {"l2s": (0.1,)})):
        rows = evaluation(subject(), labels=("color", "shape"), over_time="deviations", **settings)
        scores = [row for row in rows if row.encoder == "lab"]
        assert scores[0].metric == f"color {main}"
        assert scores[0].value == 1
        assert scores[0].num_items == 20
        assert "less their mean" in scores[0].protocol
        shape = next(row for row in scores if row.metric == f"shape {main}")
        assert shape.value is not None
        assert shape.value < 0.8
        assert shape.num_items == 16
        assert shape.detail["num_unlabeled"] == 8
        assert {row.metric for row in rows if row.encoder == "chance"} >= {f"color {main}", f"shape {main}"}


def test_columns_that_are_not_there_are_refused() -> None:
    settings = {"over_time": "deviations"}
    with pytest.raises(EvaluationError, match="give `manifest: FILE`"):
        knn(subject(with_manifest=False), labels=("color",), **settings)
    with pytest.raises(EvaluationError, match="no column 'size'; its further columns are \\['color', 'shape'\\]"):
        knn(subject(), labels=("size",), **settings)
    with pytest.raises(EvaluationError, match="has no row 'r30'"):
        knn(subject(rows=30), labels=("color",), **settings)
    with pytest.raises(EvaluationError, match="keeps mean of the frames"):
        knn(subject())
