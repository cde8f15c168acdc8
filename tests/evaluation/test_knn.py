"""The kNN protocol against loops over all pairs, known values, and data that must be refused."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from mmssl.errors import EvaluationError
from mmssl.evaluation.knn import knn, weighted_votes
from mmssl.retrieval.embeddings import EmbeddingTable
from tests.evaluation.toys import noisy_table, scores, subject_of, table_of


def top1_by_loops(table: EmbeddingTable, k: int, temperature: float, allowed: Callable[[int, int], bool]) -> float:
    """Share of queries whose heaviest class is theirs; `allowed(query, other)` says who votes."""
    rows = [row / np.linalg.norm(row) for row in table.embeddings.astype(np.float64)]
    right = total = 0
    for query in range(len(table)):
        voters = [other for other in range(len(table)) if allowed(query, other)]
        if not voters:
            continue
        nearest = sorted(voters, key=lambda other: -float(rows[query] @ rows[other]))[:k]
        votes: dict[str, float] = {}
        for other in nearest:
            weight = math.exp(float(rows[query] @ rows[other]) / temperature)
            votes[str(table.labels[other])] = votes.get(str(table.labels[other]), 0.0) + weight
        right += max(sorted(votes), key=lambda name: votes[name]) == table.labels[query]
        total += 1
    return right / total


@pytest.mark.parametrize("k", [1, 5, 30, 500])
@pytest.mark.parametrize("exclude_same_group", [True, False])
def test_leave_one_out_matches_loops(k: int, exclude_same_group: bool) -> None:
    table = noisy_table(splits=False)
    found = scores(knn(subject_of(table), ks=(k,), exclude_same_group=exclude_same_group))

    def allowed(query: int, other: int) -> bool:
        return query != other and not (exclude_same_group and table.groups[query] == table.groups[other])

    assert found[f"top1@k={k}"] == pytest.approx(top1_by_loops(table, k, 0.07, allowed))


@pytest.mark.parametrize("k", [1, 5, 30, 500])
@pytest.mark.parametrize("temperature", [0.02, 0.07, 1.0])
def test_two_splits_match_loops(k: int, temperature: float) -> None:
    table = noisy_table(splits=True)
    rows = knn(subject_of(table), ks=(k,), temperature=temperature)
    slowly = top1_by_loops(
        table, k, temperature, lambda query, other: (table.splits[query], table.splits[other]) == ("test", "train")
    )
    assert scores(rows)[f"top1@k={k}"] == pytest.approx(slowly)
    assert rows[0].split == "test"
    assert rows[0].num_items == 30


@pytest.mark.parametrize("num_queries", [1, 7, 99])
def test_fewer_than_a_hundred_queries_are_scored(num_queries: int) -> None:
    table = noisy_table(300)
    tests = [place for place, split in enumerate(table.splits) if split == "test"][:num_queries]
    trains = [place for place, split in enumerate(table.splits) if split == "train"]
    rows = knn(subject_of(table.subset([*trains, *tests])), ks=(5,))
    assert rows[0].num_items == num_queries
    assert 0 <= rows[0].value <= 1


def test_known_votes() -> None:
    votes = weighted_votes(np.array([[1.0, 0.5, 0.5, 0.1]]), np.array([[0, 1, 1, -1]]), num_classes=3, temperature=0.5)
    np.testing.assert_allclose(votes / votes[0, 0], [[1.0, 2 * math.exp(-1.0), 0.0]])


def test_near_neighbor_outweighs_more_distant_ones() -> None:
    embeddings = np.array([[1, 0], [0.99, 0.1], [0.5, 0.9], [0.5, -0.9]])
    columns = {"labels": ("a", "a", "b", "b"), "splits": ("test", "train", "train", "train")}
    found = scores(knn(subject_of(table_of(embeddings, **columns)), ks=(3,)))
    assert found == {"top1@k=3": 1.0}
    assert scores(knn(subject_of(table_of(embeddings, **columns)), ks=(3,), temperature=10.0)) == {"top1@k=3": 0.0}


def test_equal_votes_go_to_the_class_that_sorts_first() -> None:
    columns = {"labels": ("b", "b", "a"), "splits": ("test", "train", "train")}
    assert scores(knn(subject_of(table_of(np.ones((3, 2)), **columns)), ks=(2,))) == {"top1@k=2": 0.0}


def test_clips_of_one_source_do_not_vote_for_each_other() -> None:
    embeddings = np.array([[1, 0], [1, 0.01], [0, 1], [0.01, 1]])
    table = table_of(embeddings, labels=("a", "b", "a", "b"), groups=("x", "y", "x", "y"))
    assert scores(knn(subject_of(table), ks=(1,)))["top1@k=1"] == 0.0
    twins = table_of(embeddings, labels=("a", "a", "b", "b"), groups=("x", "x", "y", "y"))
    rows = knn(subject_of(twins), ks=(1,))
    assert scores(rows)["top1@k=1"] == 0.0
    assert rows[0].detail["num_without_own_class"] == 4
    assert "for 4 clips no other of their class may vote" in rows[0].protocol
    assert scores(knn(subject_of(twins), ks=(1,), exclude_same_group=False))["top1@k=1"] == 1.0


def test_order_of_clips_does_not_matter() -> None:
    table = noisy_table(splits=True)
    order = np.random.default_rng(0).permutation(len(table)).tolist()
    assert scores(knn(subject_of(table.subset(order)))) == scores(knn(subject_of(table)))


def test_top5_from_five_classes_on() -> None:
    embeddings = np.random.default_rng(0).normal(size=(40, 4))
    for num_classes, tops in ((4, {"top1"}), (5, {"top1", "top5"})):
        labels = tuple(f"c{number % num_classes}" for number in range(40))
        found = scores(knn(subject_of(table_of(embeddings, labels=labels))))
        assert {metric.split("@")[0] for metric in found} == tops
    assert found["top5@k=20"] == 1.0


def test_first_row_is_the_main_score() -> None:
    rows = knn(subject_of(noisy_table(splits=False)))
    assert rows[0].metric == "top1@k=20"
    assert {row.metric for row in rows} == {f"top{top}@k={k}" for top in (1, 5) for k in (10, 20, 100, 200)}


def test_chance_and_majority_come_from_the_data() -> None:
    labels = ("a",) * 6 + ("b",) * 3 + ("c",) + ("a", "b", "b", "c")
    table = table_of(np.ones((14, 2)), labels=labels, splits=("train",) * 10 + ("test",) * 4)
    rows = knn(subject_of(table), ks=(3,))
    assert scores(rows, "chance") == {"top1@k=3": pytest.approx(1 / 3)}
    assert scores(rows, "majority") == {"top1@k=3": 0.25}
    assert [row.baseline for row in rows] == [False, True, True]


def test_clips_without_label_are_left_out_and_counted() -> None:
    table = noisy_table(splits=True)
    labels = tuple(None if place < 6 else label for place, label in enumerate(table.labels))
    rows = knn(subject_of(replace(table, labels=labels)))
    assert rows[0].num_items == 28
    assert rows[0].detail["num_unlabeled"] == 6
    assert "6 clips without a label are left out" in rows[0].protocol


def test_k_beyond_the_gallery_is_said() -> None:
    rows = {row.metric: row for row in knn(subject_of(noisy_table(splits=True))) if row.encoder == "toy"}
    assert rows["top1@k=20"].detail["num_capped"] == 0
    assert rows["top1@k=100"].detail["num_capped"] == 30
    assert "for 30 clips fewer than 100 may vote" in rows["top1@k=100"].protocol
    assert rows["top1@k=100"].value == rows["top1@k=200"].value


def test_row_says_where_it_comes_from() -> None:
    first = knn(subject_of(noisy_table(splits=False)))[0]
    assert (first.dataset, first.split, first.encoder, first.evaluation, first.seed) == (
        "toys",
        "train",
        "toy",
        "knn",
        7,
    )
    assert "leave-one-out" in first.protocol
    assert "other groups" in first.protocol


def test_data_that_cannot_be_scored_is_refused() -> None:
    table = noisy_table(splits=True)
    with pytest.raises(EvaluationError, match="groups stand in both"):
        knn(subject_of(replace(table, groups=("same",) * len(table))))
    with pytest.raises(EvaluationError, match="has a label"):
        knn(subject_of(replace(table, labels=(None,) * len(table))))
    with pytest.raises(EvaluationError, match=r"'val' has no labelled clip; splits are \['test', 'train'\]"):
        knn(subject_of(table), query_split="val")
    with pytest.raises(EvaluationError, match="of one group"):
        knn(subject_of(replace(noisy_table(splits=False), groups=("same",) * len(table))))
    with pytest.raises(ValueError, match="temperature"):
        knn(subject_of(table), temperature=0.0)
    with pytest.raises(ValueError, match="ks"):
        knn(subject_of(table), ks=(0,))
