from dataclasses import replace

import numpy as np
import pytest

from mmssl.data.dataset import ClipItem
from mmssl.errors import EvaluationError
from mmssl.evaluation.classifier_training import ClassifierTraining
from mmssl.evaluation.left_out import left_out
from mmssl.evaluation.linear_probe import linear_probe
from mmssl.evaluation.subject import Subject
from mmssl.retrieval.embeddings import EmbeddingTable
from tests.evaluation.toys import ColorClips, scores, small_encoder, subject_of, table_of

SPEAKERS = ("ann", "ben", "eve")


def spoken(*, noise: float = 0.5) -> EmbeddingTable:
    """Three words by three speakers, who each add something of their own."""
    random = np.random.default_rng(0)
    words, speakers = np.arange(72) % 3, np.arange(72) // 3 % 3
    embeddings = np.eye(6)[words] + 0.5 * np.eye(6)[3 + speakers] + random.normal(scale=noise, size=(72, 6))
    return table_of(
        embeddings,
        labels=tuple(f"word {word}" for word in words),
        groups=tuple(SPEAKERS[speaker] for speaker in speakers),
    )


def test_each_group_is_scored_as_a_test_split_of_its_own() -> None:
    table = spoken()
    rows = left_out(subject_of(table), per_class=(), l2s=(0.1,))
    found = rows[0].detail["sequences"]
    assert list(found) == list(SPEAKERS)
    for speaker in SPEAKERS:
        splits = tuple("test" if group == speaker else "train" for group in table.groups)
        alone = linear_probe(subject_of(replace(table, splits=splits)), l2s=(0.1,))
        assert scores(alone)["top1"] == found[speaker]
    assert scores(rows)["top1"] == pytest.approx(np.mean(list(found.values())))
    assert scores(rows, "chance") == {"top1": pytest.approx(1 / 3)}


def test_fewer_labels_tell_less() -> None:
    found = scores(left_out(subject_of(spoken()), per_class=(1, 5), l2s=(0.1,)))
    assert list(found) == ["top1", "top1 from 1 a class", "top1 from 5 a class"]
    assert 1 / 3 < found["top1 from 1 a class"] < found["top1 from 5 a class"] < found["top1"]


def test_groups_that_cannot_be_left_out() -> None:
    with pytest.raises(EvaluationError, match="the labelled clips are of 72 group"):
        left_out(subject_of(replace(spoken(), groups=tuple(map(str, range(72))))))
    with pytest.raises(EvaluationError, match=r"or those of `groups`, \['joe'\]"):
        left_out(subject_of(spoken()), groups=("joe",))


def test_some_groups_alone_are_left_out() -> None:
    every, one = (
        left_out(subject_of(spoken()), groups=groups, per_class=(), l2s=(0.1,))[0] for groups in ((), ("ben",))
    )
    assert one.detail["sequences"] == {"ben": every.detail["sequences"]["ben"]}
    assert (one.split, one.num_items, every.split) == ("ben", 24, "each group")
    assert "scored on that one's, ben of 3 groups; L2" in one.protocol


class ColorsByTwo(ColorClips):
    """The clips of toys, filmed by two people in turn."""

    @property
    def items(self) -> list[ClipItem]:
        return [replace(item, group=SPEAKERS[number // 9 % 2]) for number, item in enumerate(super().items)]


def test_supervised_training_of_the_same_network_stands_beside() -> None:
    subject = Subject(small_encoder(), "colors", clips=ColorsByTwo(54), name="toy")
    training = ClassifierTraining(epochs=16, batch_size=9, learning_rate=3e-3)
    rows = left_out(subject, per_class=(), l2s=(0.1,), supervised=training)
    (row,) = [row for row in rows if row.encoder == "supervised:toy"]
    assert row.baseline
    assert row.metric == "top1"
    assert list(row.detail["sequences"]) == ["ann", "ben"]
    assert row.value == pytest.approx(np.mean(list(row.detail["sequences"].values())))
    assert row.value > 0.6
    assert "labels of all groups but one" in row.protocol
    again = replace(subject, baseline=True)
    assert not any("supervised" in row.encoder for row in left_out(again, per_class=(), supervised=training))
    assert "crops" not in training.sentence(sound=True)
