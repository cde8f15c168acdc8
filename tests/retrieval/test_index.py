"""The index finds what a loop over all pairs finds, and refuses what does not fit."""

import json
from pathlib import Path

import numpy as np
import pytest

from mmssl.errors import RetrievalError
from mmssl.retrieval.index import Index

DIM = 6


def random_rows(count: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)


def filled(count: int = 20) -> Index:
    index = Index(DIM, encoder="lab", encoder_digest="abc")
    index.add([f"clip{number}" for number in range(count)], random_rows(count))
    return index


def test_search_matches_a_loop_over_all_pairs() -> None:
    gallery, queries = random_rows(20), random_rows(5, seed=1)
    found = filled().search(queries, 4)
    for query, ids, scores, positions in zip(queries, found.ids, found.scores, found.positions, strict=True):
        cosines = [float(row @ query / np.linalg.norm(row) / np.linalg.norm(query)) for row in gallery]
        best = sorted(range(20), key=lambda place: -cosines[place])[:4]
        assert positions.tolist() == best
        assert ids == tuple(f"clip{place}" for place in best)
        np.testing.assert_allclose(scores, [cosines[place] for place in best], atol=1e-6)


def test_scale_of_embeddings_does_not_matter() -> None:
    index = Index(DIM)
    index.add([f"clip{number}" for number in range(20)], random_rows(20) * 1000)
    assert index.search(random_rows(3, seed=1) * 0.01, 5).ids == filled().search(random_rows(3, seed=1), 5).ids


def test_equal_scores_come_in_the_order_of_addition() -> None:
    index = Index(DIM)
    row = random_rows(1)
    for name in ("b", "a", "c"):
        index.add([name], row)
    assert index.search(row, 3).ids == (("b", "a", "c"),)


def test_more_neighbors_than_there_are() -> None:
    found = filled(3).search(random_rows(2), 10)
    assert found.scores.shape == (2, 3)
    assert {len(ids) for ids in found.ids} == {3}


def test_saved_and_loaded_finds_the_same(tmp_path: Path) -> None:
    index = filled()
    index.save(tmp_path / "index")
    loaded = Index.load(tmp_path / "index")
    assert (loaded.ids, loaded.encoder, loaded.encoder_digest, loaded.kind) == (index.ids, "lab", "abc", "flat")
    ours, theirs = index.search(random_rows(4, seed=2), 7), loaded.search(random_rows(4, seed=2), 7)
    assert ours.ids == theirs.ids
    np.testing.assert_array_equal(ours.scores, theirs.scores)


def test_loaded_index_still_refuses_its_ids(tmp_path: Path) -> None:
    filled().save(tmp_path)
    with pytest.raises(RetrievalError, match="'clip3' stands more than once"):
        Index.load(tmp_path).add(["new", "clip3"], random_rows(2))


def test_damaged_file_is_refused_before_faiss_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled().save(tmp_path)
    file = tmp_path / "index.faiss"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    monkeypatch.setattr("faiss.read_index", lambda name: pytest.fail("FAISS read a damaged file"))
    with pytest.raises(RetrievalError, match=r"index\.faiss: differs"):
        Index.load(tmp_path)


def test_record_without_checksums_is_refused(tmp_path: Path) -> None:
    filled().save(tmp_path)
    record = json.loads((tmp_path / "index.json").read_text())
    record["checksums"] = {}
    (tmp_path / "index.json").write_text(json.dumps(record))
    with pytest.raises(RetrievalError, match="no checksum"):
        Index.load(tmp_path)


@pytest.mark.parametrize("change", [{"count": 19}, {"dim": 5}, {"kind": "tree"}, {"count": None}])
def test_record_that_does_not_fit_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    filled().save(tmp_path)
    record = json.loads((tmp_path / "index.json").read_text())
    (tmp_path / "index.json").write_text(json.dumps({**record, **change}))
    with pytest.raises(RetrievalError):
        Index.load(tmp_path)


def test_missing_index_is_said(tmp_path: Path) -> None:
    with pytest.raises(RetrievalError, match=r"holds no index \(index\.json is missing\)"):
        Index.load(tmp_path)


def test_misfits_are_refused() -> None:
    index = filled()
    with pytest.raises(RetrievalError, match="'twice' stands more than once"):
        index.add(["twice", "twice"], random_rows(2))
    with pytest.raises(RetrievalError, match="2 ids but 3 embeddings"):
        index.add(["x", "y"], random_rows(3))
    with pytest.raises(RetrievalError, match=r"length 6, got shape \(1, 7\)"):
        index.search(np.zeros((1, 7), np.float32), 1)
    with pytest.raises(RetrievalError, match="not finite"):
        index.add(["x"], np.full((1, DIM), np.nan, np.float32))
    with pytest.raises(RetrievalError, match="empty"):
        Index(DIM).search(random_rows(1), 1)
    with pytest.raises(RetrievalError, match="empty"):
        Index(DIM).save(Path("nowhere"))
    with pytest.raises(RetrievalError, match=r"kinds are .*hnsw"):
        Index(DIM, kind="tree")
    with pytest.raises(RetrievalError, match="digest abc"):
        index.expect_encoder("other")
    assert len(index) == 20


def test_zero_query_scores_zero() -> None:
    assert not filled().search(np.zeros((1, DIM), np.float32), 3).scores.any()
