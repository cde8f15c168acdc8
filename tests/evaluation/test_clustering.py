from dataclasses import replace

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score

from mmssl.errors import EvaluationError
from mmssl.evaluation.clustering import clustering
from tests.evaluation.toys import noisy_table, scores, subject_of


def test_clear_classes_are_found() -> None:
    assert scores(clustering(subject_of(noisy_table(150, scale=0.02)))) == pytest.approx(
        {"NMI": 1, "ARI": 1, "accuracy": 1}
    )


def test_is_as_good_as_scikit_learn() -> None:
    table = noisy_table(600, scale=0.35)
    test = np.array([split == "test" for split in table.splits])
    unit = table.embeddings[test] / np.linalg.norm(table.embeddings[test], axis=1, keepdims=True)
    reference = KMeans(6, n_init=10, random_state=0).fit_predict(unit)
    slowly = normalized_mutual_info_score(np.array(table.labels)[test], reference)
    assert scores(clustering(subject_of(table)))["NMI"] == pytest.approx(slowly, abs=0.05)


def test_one_split_is_taken_whatever_its_name() -> None:
    rows = clustering(subject_of(noisy_table(90, splits=False)))
    assert (rows[0].split, rows[0].num_items) == ("train", 90)


def test_chance_is_near_nothing() -> None:
    found = scores(clustering(subject_of(noisy_table(900))), "chance")
    assert abs(found["ARI"] or 0) < 0.02
    assert found["accuracy"] == pytest.approx(1 / 6, abs=0.08)


def test_number_of_clusters_can_be_given() -> None:
    rows = clustering(subject_of(noisy_table(150, scale=0.02)), num_clusters=12)
    assert scores(rows)["NMI"] > 0.8
    assert scores(rows)["accuracy"] < 0.9
    assert rows[0].detail == {"num_classes": 6, "num_clusters": 12, "num_unlabeled": 0}


def test_what_cannot_be_scored_is_refused() -> None:
    table = noisy_table()
    with pytest.raises(EvaluationError, match="'val' has no labelled clip"):
        clustering(subject_of(table), split="val")
    with pytest.raises(EvaluationError, match="of one class, 'a'"):
        clustering(subject_of(replace(table, labels=("a",) * len(table))))
    with pytest.raises(EvaluationError, match="cannot make 40 clusters of 30 clips"):
        clustering(subject_of(table), num_clusters=40)
    with pytest.raises(ValueError, match="num_starts"):
        clustering(subject_of(table), num_starts=0)
