"""Self-training and distillation: unlabelled clips help, and their labels are never looked at."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from mmssl.data.dataset import ClipItem
from mmssl.evaluation.classifier_training import ClassifierTraining
from mmssl.evaluation.distillation import distillation
from mmssl.evaluation.few_labels import few_labels
from mmssl.evaluation.labeled import balanced_share, labeled_splits
from mmssl.evaluation.self_training import self_training
from mmssl.evaluation.subject import Subject
from mmssl.retrieval.embeddings import EmbeddingTable
from tests.evaluation.toys import ColorClips, noisy_table, scores, small_encoder, subject_of

QUICK = ClassifierTraining(epochs=6, batch_size=8, learning_rate=3e-3)
STUDENT = {"name": "small_resnet", "width": 4, "feature_dim": 8, "num_blocks": [1, 1]}


def hidden(table: EmbeddingTable, share: float) -> EmbeddingTable:
    """The table without the labels that a share of them leaves out."""
    task = labeled_splits(table.labels, table.splits, table.groups, train_split="train", test_split="test")
    kept = set(balanced_share(task, table.ids, share, seed=7)[0].train.tolist()) | set(task.test.tolist())
    return replace(table, labels=tuple(label if place in kept else None for place, label in enumerate(table.labels)))


def test_before_the_first_round_it_is_few_labels() -> None:
    table = noisy_table(900, scale=0.5)
    before = scores(self_training(subject_of(table), share=0.02))["top1@2% before"]
    assert before == scores(few_labels(subject_of(table), shares=(0.02,)))["top1@2%"]


def test_its_own_answers_help_where_classes_lie_apart() -> None:
    found = scores(self_training(subject_of(noisy_table(1500, scale=0.3)), share=0.01, smallest_confidence=0.6))
    assert found["top1@1%"] >= found["top1@1% before"]


def test_labels_of_the_other_clips_are_never_looked_at() -> None:
    table = noisy_table(600, scale=0.4)
    rows = self_training(subject_of(hidden(table, 0.05)), share=1.0)
    assert (rows[0].detail["num_train"], rows[0].detail["num_others"]) == (18, 382)
    assert rows[0].value == scores(self_training(subject_of(table), share=0.05))["top1@5%"]


class Hidden(ColorClips):
    """The same clips; only the first dozen training clips have labels."""

    @property
    def items(self) -> Sequence[ClipItem]:
        return [
            item if item.split == "test" or number < 18 else replace(item, label=None)
            for number, item in enumerate(super().items)
        ]


@pytest.mark.parametrize("fine_tuned", [False, True])
def test_student_learns_from_the_teacher_alone(fine_tuned: bool) -> None:
    subject = Subject(small_encoder(), "colors", clips=Hidden(90), name="toy")
    long = replace(QUICK, epochs=60)
    rows = distillation(
        subject, student=STUDENT, share=1.0, fine_tuned=fine_tuned, training=QUICK, teacher_training=long
    )
    assert rows[0].detail["num_train"] == 12
    assert rows[0].detail["num_taught"] == 60
    assert scores(rows)["top1"] > 0.6
    assert "top1 of the teacher" in scores(rows)
    assert "it sees no label" in rows[0].protocol


def test_supervised_student_stands_beside() -> None:
    quick = replace(QUICK, epochs=1)
    subject = Subject(small_encoder(), "colors", clips=ColorClips(60), name="toy")
    rows = distillation(subject, student=STUDENT, share=0.2, training=quick, supervised=True)
    assert {row.encoder for row in rows if row.baseline} == {"chance", "majority", "supervised:student"}


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="temperature"):
        distillation(Subject(small_encoder(), "colors", clips=ColorClips()), temperature=0.0)
    with pytest.raises(ValueError, match="num_rounds"):
        self_training(subject_of(noisy_table()), num_rounds=0)
