"""The linear probe against scikit-learn, known cases, and data that must be refused."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from mmssl.errors import EvaluationError
from mmssl.evaluation.linear_probe import linear_probe
from tests.evaluation.toys import noisy_table, scores, subject_of, table_of


@pytest.mark.parametrize("l2", [1e-3, 1e-1])
def test_fixed_penalty_matches_scikit_learn(l2: float) -> None:
    table = noisy_table(300)
    train, test = (np.array([split == name for split in table.splits]) for name in ("train", "test"))
    labels = np.array(table.labels)
    scaler = StandardScaler().fit(table.embeddings[train])
    reference = LogisticRegression(C=1 / (l2 * train.sum()), tol=1e-8, max_iter=2000)
    reference.fit(scaler.transform(table.embeddings[train]), labels[train])
    rows = linear_probe(subject_of(table), l2s=(l2,))
    slowly = reference.score(scaler.transform(table.embeddings[test]), labels[test])
    assert scores(rows)["top1"] == pytest.approx(slowly, abs=0.011)
    assert "L2 penalty 0.1, fixed" in rows[0].protocol or l2 == 1e-3


def test_penalty_is_chosen_without_the_scored_split() -> None:
    table = noisy_table(300)
    rows = linear_probe(subject_of(table))
    scrambled = tuple(
        f"class{place % 6}" if split == "test" else label
        for place, (label, split) in enumerate(zip(table.labels, table.splits, strict=True))
    )
    other = linear_probe(subject_of(replace(table, labels=scrambled)))
    assert other[0].value != rows[0].value
    for key in ("l2", "validation", "num_validation"):
        assert other[0].detail[key] == rows[0].detail[key]
    assert rows[0].detail["num_validation"] >= 30
    assert max(rows[0].detail["validation"].values()) == rows[0].detail["validation"][f"{rows[0].detail['l2']:g}"]


def test_separable_classes_are_told_apart() -> None:
    rows = linear_probe(subject_of(noisy_table(120, scale=0.02)))
    assert scores(rows) == {"top1": 1.0, "top5": 1.0, "class recall": 1.0}
    assert {row.metric for row in rows if row.encoder == "chance"} == set(scores(rows))
    assert scores(rows, "chance")["class recall"] == pytest.approx(1 / 6)


def test_rescaled_and_moved_embeddings_score_the_same() -> None:
    table = noisy_table(150)
    moved = replace(table, embeddings=table.embeddings * np.arange(1, 9, dtype=np.float32) * 16 + 5)
    assert scores(linear_probe(subject_of(moved))) == pytest.approx(scores(linear_probe(subject_of(table))), abs=0.021)


def test_order_of_clips_does_not_matter() -> None:
    table = noisy_table(150)
    order = np.random.default_rng(0).permutation(len(table)).tolist()
    assert scores(linear_probe(subject_of(table.subset(order)))) == pytest.approx(
        scores(linear_probe(subject_of(table))), abs=0.021
    )


def test_constant_feature_does_no_harm() -> None:
    table = noisy_table(120, scale=0.02)
    embeddings = np.concatenate([table.embeddings, np.full((120, 1), 3.0, np.float32)], axis=1)
    assert scores(linear_probe(subject_of(replace(table, embeddings=embeddings))))["top1"] == 1.0


def test_one_clip_a_class_has_a_fixed_penalty() -> None:
    table = table_of(np.eye(4), labels=("a", "b", "a", "b"), splits=("train", "train", "test", "test"))
    rows = linear_probe(subject_of(table))
    assert "fixed because no class has clips of two groups" in rows[0].protocol
    assert rows[0].detail["num_validation"] == 0


def test_class_that_was_never_seen_cannot_be_right() -> None:
    labels = ("a", "b", "a", "b", "c", "a")
    embeddings = np.array([[1, 0], [0, 1], [1, 0.1], [0.1, 1], [0, -1], [1, 0]])
    table = table_of(embeddings, labels=labels, splits=("train",) * 4 + ("test",) * 2)
    rows = linear_probe(subject_of(table))
    assert scores(rows) == {"top1": 0.5, "class recall": 0.5}
    assert scores(rows, "majority") == {"top1": 0.5, "class recall": 0.5}
    assert "1 scored clips are of a class that is not learnt from" in rows[0].protocol


def test_row_says_how_it_was_made() -> None:
    first = linear_probe(subject_of(noisy_table()))[0]
    assert (first.metric, first.split, first.num_items, first.seed, first.baseline) == ("top1", "test", 30, 7, False)
    assert "60 labelled clips of 'train', scored once on 30 of 'test'" in first.protocol
    assert "kept apart by groups" in first.protocol


def test_what_cannot_be_scored_is_refused() -> None:
    table = noisy_table()
    with pytest.raises(EvaluationError, match="has a label"):
        linear_probe(subject_of(replace(table, labels=(None,) * len(table))))
    with pytest.raises(EvaluationError, match="has no labelled clip"):
        linear_probe(subject_of(noisy_table(splits=False)))
    with pytest.raises(EvaluationError, match="of one class"):
        linear_probe(subject_of(replace(table, labels=("a",) * len(table))))
    with pytest.raises(ValueError, match="l2s"):
        linear_probe(subject_of(table), l2s=())
    with pytest.raises(ValueError, match="validation_share"):
        linear_probe(subject_of(table), validation_share=1.0)
