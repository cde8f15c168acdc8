from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from mmssl.data.manifest import Manifest, ManifestRow
from mmssl.errors import EvaluationError
from mmssl.evaluation.retrieval import average_precision, random_average_precision, random_recall, retrieval
from mmssl.retrieval.embeddings import EmbeddingTable
from tests.evaluation.toys import noisy_table, scores, subject_of, table_of


def by_loops(table: EmbeddingTable, *, leave_one_out: bool) -> dict[str, float]:
    unit = [row / np.linalg.norm(row) for row in table.embeddings.astype(np.float64)]
    sums = {"mAP": 0.0, "R@1": 0.0, "R@5": 0.0, "R@10": 0.0}
    queries = [place for place, split in enumerate(table.splits) if leave_one_out or split == "test"]
    for query in queries:
        pool = [
            other
            for other in range(len(table))
            if (table.groups[other] != table.groups[query] if leave_one_out else table.splits[other] == "train")
        ]
        ranking = sorted(pool, key=lambda other: -float(unit[query] @ unit[other]))
        right = np.array([table.labels[other] == table.labels[query] for other in ranking])
        if right.any():
            sums["mAP"] += average_precision_score(right, -np.arange(len(right)))
        for k in (1, 5, 10):
            sums[f"R@{k}"] += bool(right[:k].any())
    return {name: total / len(queries) for name, total in sums.items()}


@pytest.mark.parametrize("splits", [True, False])
def test_matches_loops(splits: bool) -> None:
    table = noisy_table(200, splits=splits)
    rows = retrieval(subject_of(table))
    assert scores(rows) == pytest.approx(by_loops(table, leave_one_out=not splits))
    assert rows[0].metric == "mAP"


def test_known_precision() -> None:
    right = torch.tensor([[True, False, True, False], [False, False, False, True], [False] * 4])
    assert average_precision(right).tolist() == pytest.approx([(1 + 2 / 3) / 2, 1 / 4, 0.0])


@pytest.mark.parametrize(("num_right", "num_ranked"), [(1, 4), (2, 5), (5, 5), (0, 3), (1, 1)])
def test_chance_is_the_mean_over_all_orders(num_right: int, num_ranked: int) -> None:
    right = torch.tensor(list(permutations([place < num_right for place in range(num_ranked)])))
    sizes = torch.tensor([float(num_right)]).double(), torch.tensor([float(num_ranked)]).double()
    assert float(random_average_precision(*sizes)) == pytest.approx(float(average_precision(right).mean()))
    for k in (1, 2, 7):
        slowly = float(right[:, :k].any(1).double().mean())
        assert float(random_recall(*sizes, k)) == pytest.approx(slowly)


def test_chance_stands_beside() -> None:
    rows = retrieval(subject_of(noisy_table(1500, scale=50.0)))
    for metric, value in scores(rows, "chance").items():
        assert scores(rows)[metric] == pytest.approx(value, abs=0.06)


def test_query_without_its_class_counts_zero() -> None:
    embeddings = np.array([[1, 0], [0, 1], [1, 0.1], [0, 1]])
    table = table_of(embeddings, labels=("a", "b", "a", "c"), splits=("train", "train", "test", "test"))
    rows = retrieval(subject_of(table))
    assert scores(rows) == {"mAP": 0.5, "R@1": 0.5, "R@5": 0.5, "R@10": 0.5}
    assert "1 queries have nothing right to find" in rows[0].protocol


def test_across_a_column_by_loops() -> None:
    """Two artists draw the same things; each likes a color of his own, which is what is nearest but is not looked at."""
    things = np.arange(12) % 6
    artists = tuple("ab"[place // 6] for place in range(12))
    noise = np.random.default_rng(1).normal(scale=0.6, size=(12, 6))
    style = 4.0 * np.array([[artist == "a", artist == "b"] for artist in artists])
    embeddings = np.concatenate([np.eye(6)[things] + noise, style], axis=1)
    table = table_of(embeddings, labels=tuple(f"thing{thing}" for thing in things), splits=("test",) * 12)
    rows = [
        ManifestRow(row_id, "a.png", "image", extra={"artist": artist})
        for row_id, artist in zip(table.row_ids, artists, strict=True)
    ]
    subject = subject_of(table, manifest=Manifest(Path("m.jsonl"), tuple(rows)))
    found = retrieval(subject, gallery_split="test", query_split="test", across="artist")
    wanted = by_loops(replace(table, groups=artists), leave_one_out=True)
    assert scores(found) == pytest.approx(wanted)
    assert 1 / 6 < wanted["R@1"] < 1
    assert scores(found, "chance")["R@1"] == pytest.approx(1 / 6)
    assert "groups are what has the same artist" in found[0].protocol
    assert wanted["R@1"] != scores(retrieval(subject))["R@1"]
    with pytest.raises(EvaluationError, match="clips of one split"):
        retrieval(subject, across="artist")
    with pytest.raises(EvaluationError, match="no column 'painter'"):
        retrieval(subject, gallery_split="test", query_split="test", across="painter")
    with pytest.raises(EvaluationError, match="is a column of a manifest"):
        retrieval(subject_of(table), gallery_split="test", query_split="test", across="artist")


def test_what_cannot_be_scored_is_refused() -> None:
    table = noisy_table()
    with pytest.raises(EvaluationError, match="retrieval needs labels"):
        retrieval(subject_of(replace(table, labels=(None,) * len(table))))
    with pytest.raises(EvaluationError, match="groups stand in both"):
        retrieval(subject_of(replace(table, groups=("same",) * len(table))))
    with pytest.raises(ValueError, match="ks"):
        retrieval(subject_of(table), ks=())
