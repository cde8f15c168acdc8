"""Indexes that are not exact reach the recall that is asked for, on queries they were not tuned on, or say that they do not."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmssl.errors import RetrievalError
from mmssl.retrieval import index_kinds, index_tuning
from mmssl.retrieval.embeddings import EmbeddingTable
from mmssl.retrieval.index import Index, unit_rows
from mmssl.retrieval.index_kinds import INDEX_KINDS, kind_for, num_cells, rising
from mmssl.retrieval.index_tuning import recalls, true_neighbors, tuned_index

COUNT, DIM = 3000, 24
APPROXIMATE = ["hnsw", "ivf", "ivf_pq"]


def points(count: int, *, seed: int) -> np.ndarray:
    """Clusters of a spread as wide as their distance."""
    random = np.random.default_rng(seed)
    centers = np.random.default_rng(99).normal(size=(50, DIM))
    rows = centers[random.integers(0, 50, count)] + random.normal(size=(count, DIM))
    return rows.astype(np.float32)


def table(count: int = COUNT) -> EmbeddingTable:
    ids = tuple(f"clip{number}" for number in range(count))
    nothing = (None,) * count
    return EmbeddingTable(ids, points(count, seed=0), ids, nothing, nothing, ids, "lab", "abc", "made")


def slow_recall(index: Index, held: EmbeddingTable, queries: np.ndarray, k: int) -> float:
    """By sorting all similarities, and comparing names."""
    rows = held.embeddings / np.linalg.norm(held.embeddings, axis=1, keepdims=True)
    shares = []
    for query, ids in zip(queries, index.search(queries, k).ids, strict=True):
        best = np.argsort(-(rows @ query))[:k]
        shares.append(len({held.ids[place] for place in best} & set(ids)) / k)
    return float(np.mean(shares))


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Product quantization with few codes needs few embeddings."""
    smaller = {
        **INDEX_KINDS,
        "ivf_pq": index_kinds.IndexKind(
            "",
            lambda dim, count: f"IVF{num_cells(count)},PQ6x4,Refine(SQfp16)",
            INDEX_KINDS["ivf_pq"].efforts,
            1e9,
            700,
        ),
    }
    monkeypatch.setattr(index_kinds, "INDEX_KINDS", smaller)
    monkeypatch.setattr(index_tuning, "INDEX_KINDS", smaller)


@pytest.mark.parametrize("kind", APPROXIMATE)
def test_the_target_is_met_on_new_queries(kind: str, tmp_path: Path) -> None:
    made = table()
    index, tuning = tuned_index(made, kind=kind, target=0.9)
    assert tuning is not None
    assert tuning.met
    assert sorted(index.ids) == sorted(made.ids)
    queries = points(300, seed=1)
    recall = slow_recall(index, made, queries, 10)
    assert recall > 0.87
    assert index.effort == tuning.chosen.effort
    efforts = [point.recall for point in tuning.curve]
    assert max(efforts) >= 0.9
    assert efforts == sorted(efforts)
    index.save(tmp_path)
    loaded = Index.load(tmp_path)
    assert (loaded.kind, loaded.effort) == (kind, index.effort)
    assert loaded.search(queries, 10).ids == index.search(queries, 10).ids


def test_the_least_effort_is_chosen(tmp_path: Path) -> None:
    low, high = (tuned_index(table(), kind="ivf", target=target)[1] for target in (0.5, 0.99))
    assert low is not None
    assert high is not None
    assert low.chosen.effort["nprobe"] < high.chosen.effort["nprobe"]
    assert all(point.recall_low < 0.99 for point in high.curve[: high.place])
    assert json.loads(json.dumps(low.to_json()))["met"] is True


def test_queries_of_another_kind_take_more_effort_and_are_measured_by_half() -> None:
    """Queries far from all rows, as sentences are from images: their neighbors lie in many cells."""
    made = table()
    names = tuple(f"query{number}" for number in range(600))
    far = np.random.default_rng(5).normal(size=(600, DIM)).astype(np.float32)
    asked = replace(made.subset(range(600)), ids=names, embeddings=far)
    index, tuning = tuned_index(made, kind="ivf", target=0.9, queries=asked)
    held = tuned_index(made, kind="ivf", target=0.9)[1]
    assert tuning is not None
    assert held is not None
    assert tuning.chosen.effort["nprobe"] > held.chosen.effort["nprobe"]
    assert (tuning.num_chosen_on, tuning.num_measured_on) == (300, 300)
    assert index.ids == list(made.ids)
    new = np.random.default_rng(6).normal(size=(300, DIM)).astype(np.float32)
    assert slow_recall(index, made, new, 10) > 0.87
    assert "300 given queries" in tuning.in_words()
    with pytest.raises(RetrievalError, match="embed both with one encoder"):
        tuned_index(made, kind="ivf", queries=replace(asked, encoder_digest="other"))
    with pytest.raises(RetrievalError, match="1 queries are too few"):
        tuned_index(made, kind="ivf", queries=asked.subset([0]))


def test_a_target_that_cannot_be_met_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    weak = index_kinds.IndexKind("", lambda dim, count: "IVF32,Flat", lambda count: [{"nprobe": 1}, {"nprobe": 2}], 1e9)
    monkeypatch.setitem(index_tuning.INDEX_KINDS, "ivf", weak)
    _, tuning = tuned_index(table(), kind="ivf", target=0.99)
    assert tuning is not None
    assert not tuning.met
    assert tuning.chosen.effort == {"nprobe": 2}
    assert "NOT met" in tuning.in_words()
    assert "flat" in tuning.in_words()


def test_recall_beside_sets_of_names() -> None:
    rows, queries = unit_rows(points(200, seed=0)), unit_rows(points(7, seed=1))
    found = np.random.default_rng(0).integers(0, 200, (7, 5))
    expected = [
        len(set(np.argsort(-(rows @ query))[:5].tolist()) & set(places.tolist())) / 5
        for query, places in zip(queries, found, strict=True)
    ]
    np.testing.assert_allclose(recalls(rows, queries, found, true_neighbors(rows, queries, 5)), expected)


def test_equal_neighbors_count_whichever_is_found() -> None:
    rows = unit_rows(np.ones((4, 3), np.float32))
    assert recalls(rows, rows[:1], np.array([[3]]), true_neighbors(rows, rows[:1], 1)).tolist() == [1.0]


def test_the_kind_goes_by_size() -> None:
    sizes = (1, 49_999, 50_000, 999_999, 1_000_000, 10_000_000)
    assert [kind_for(count) for count in sizes] == ["flat", "flat", "hnsw", "hnsw", "ivf", "ivf_pq"]
    assert (num_cells(100_000), num_cells(100), num_cells(1)) == (1024, 2, 1)
    assert rising(1, 8) == [1, 2, 3, 4, 6, 8]
    assert tuned_index(table(50))[1] is None


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(RetrievalError, match="at least 700"):
        tuned_index(table(500), kind="ivf_pq")
    with pytest.raises(RetrievalError, match="too few to tune"):
        tuned_index(table(11), kind="hnsw")
    with pytest.raises(RetrievalError, match="between 0 and 1"):
        tuned_index(table(100), target=1.0)
    with pytest.raises(RetrievalError, match="no kind of index"):
        tuned_index(table(100), kind="tree")
    with pytest.raises(RetrievalError, match="must be trained"):
        Index(DIM, kind="ivf", expected=3000).add(["a"], points(1, seed=0))
