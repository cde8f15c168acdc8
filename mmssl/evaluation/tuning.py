"""What protocols share that train a network on clips and labels."""

import numpy as np
import torch
from jaxtyping import Float

from mmssl.data.dataset import ClipSource
from mmssl.errors import EvaluationError
from mmssl.evaluation.classification import classification_rows
from mmssl.evaluation.classifier_training import Classifier, ClassifierTraining, predict, train_classifier
from mmssl.evaluation.labeled import LabeledSplits, labeled_splits
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject
from mmssl.models.encoder import Encoder
from mmssl.models.loading import load_encoder
from mmssl.models.references import random_reference


def labeled_clips(subject: Subject, *, train_split: str, test_split: str) -> tuple[ClipSource, LabeledSplits]:
    """A subject's clips and the task that their labels make.

    Raises:
        EvaluationError: If there are no clips, or their labels make no task; see `labeled_splits`.
    """
    if subject.clips is None:
        raise EvaluationError(f"{subject.encoder.reference}: there are no clips to train on; give `clips`")
    items = subject.clips.items
    task = labeled_splits(
        [item.label for item in items],
        [item.split for item in items],
        [item.group for item in items],
        train_split=train_split,
        test_split=test_split,
    )
    return subject.clips, task


def trained_scores(
    subject: Subject,
    encoder: Encoder,
    task: LabeledSplits,
    *,
    training: ClassifierTraining,
    frozen: bool = False,
) -> Float[np.ndarray, "test classes"]:
    """Scores of the test clips by a classifier that is trained on the training clips.

    Args:
        subject: Gives clips, seed and device.
        encoder: Stays as it is; a copy is trained.
        task: Which clips, and their classes.
        training: How long and how fast.
        frozen: Whether the copy stays as it is too, so that only the linear classifier learns.

    Raises:
        EvaluationError: If there are no clips, or the training diverges.
    """
    if subject.clips is None:
        raise EvaluationError(f"{subject.encoder.reference}: there are no clips to train on; give `clips`")
    network = Classifier(encoder, task.num_train_classes, frozen=frozen)
    train_classifier(
        network,
        subject.clips,
        task.train,
        torch.from_numpy(task.train_classes),
        training=training,
        seed=subject.seed,
        device=subject.device,
    )
    return predict(network, subject.clips, task.test, device=subject.device)


def supervised_rows(
    subject: Subject,
    evaluation: str,
    task: LabeledSplits,
    training: ClassifierTraining | None,
    *,
    suffix: str = "",
) -> list[ReportRow]:
    """The same architecture, trained from fresh weights on the same labels: what there is to gain on.

    Nothing where no training is asked for, the subject is itself a baseline, or it has no weights to train.

    Args:
        subject: Gives the architecture, clips, seed and device.
        evaluation: Name in `EVALUATIONS`.
        task: Which clips, and their classes.
        training: How long and how fast.
        suffix: Of each metric's name.

    Raises:
        EvaluationError: If there are no clips, or the training diverges.
    """
    encoder = fresh_encoder(subject) if training is not None else None
    if training is None or encoder is None:
        return []
    scores = trained_scores(subject, encoder, task, training=training)
    protocol = (
        f"The same architecture from fresh weights, trained end to end on the same {len(task.train)} labels: "
        f"{training.sentence(sound=encoder.sample_rate is not None)}."
    )
    return classification_rows(
        subject,
        evaluation,
        scores,
        task,
        protocol=protocol,
        detail={"num_train": len(task.train)},
        suffix=suffix,
        encoder=supervised_name(subject),
    )


def fresh_encoder(subject: Subject) -> Encoder | None:
    """The subject's architecture with fresh weights; None where it is a baseline or has no weights to train."""
    fresh = random_reference(subject.encoder.reference)
    return None if subject.baseline or fresh is None else load_encoder(fresh, seed=subject.seed).encoder


def supervised_name(subject: Subject) -> str:
    """How rows name the subject's architecture trained on labels."""
    return f"supervised:{subject.name or subject.encoder.reference}"
