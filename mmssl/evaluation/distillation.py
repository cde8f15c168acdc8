"""Distillation: a small network learns from scratch what an encoder with few labels says of clips without labels."""

from typing import Annotated

import numpy as np
import torch

from mmssl.config import Spec, build
from mmssl.evaluation.classification import classification_rows, constant_rows
from mmssl.evaluation.classifier_training import Classifier, ClassifierTraining, predict, train_classifier
from mmssl.evaluation.labeled import balanced_share
from mmssl.evaluation.linear_probe import L2S, check_probe_settings, fit_probe
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject
from mmssl.evaluation.tuning import labeled_clips, trained_scores
from mmssl.models import ENCODER_CHOICE
from mmssl.models.encoder import Encoder

TEACHER = ClassifierTraining(epochs=20)
STUDENT = ClassifierTraining(epochs=20)


def distillation(
    subject: Subject,
    *,
    student: Annotated[Spec | str, ENCODER_CHOICE] = "small_resnet",
    share: float = 0.01,
    fine_tuned: bool = False,
    temperature: float = 1.0,
    train_split: str = "train",
    test_split: str = "test",
    teacher_training: ClassifierTraining = TEACHER,
    training: ClassifierTraining = STUDENT,
    supervised: bool = False,
) -> list[ReportRow]:
    """Trains a student from fresh weights to give the teacher's class probabilities on all training clips.

    The teacher is the encoder with a classifier that has seen a class-balanced share of the labels: a linear probe on frozen
    embeddings, or fine-tuned end to end. Its probabilities are computed once, on the clips as they are stored; the student
    sees them cropped and mirrored. No label reaches the student.

    Args:
        subject: Its clips.
        student: Which network, with its settings.
        share: Of the training split's labels, in (0, 1], that the teacher learns from; see `few_labels`.
        fine_tuned: Whether the teacher is trained end to end.
        temperature: Divides the teacher's logits; > 0.
        train_split: Split that is learnt from; its clips without a label are used too.
        test_split: Split that is scored.
        teacher_training: How a teacher that is fine-tuned is trained.
        training: How the student is trained.
        supervised: Whether the student's architecture is also trained on the teacher's labels alone, to stand beside.

    Returns:
        Top-1, top-5 from five classes on, and the mean recall of a class, of the student, and as `... of the teacher`; then
        what guessing, the most frequent class and, if asked for, supervised learning give.

    Raises:
        EvaluationError: If there are no clips, labels or splits are missing, the training split has one class, a group is in
            both splits, or a training diverges.

    Source:
        Chen et al. 2020 (SimCLR v2), arXiv:2006.10029, section 2, eq. 2.
    """
    check_probe_settings(L2S, 0.2)
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    source, whole = labeled_clips(subject, train_split=train_split, test_split=test_split)
    items = source.items
    task, whose = balanced_share(whole, [item.id for item in items], share, seed=subject.seed)
    places = np.array([place for place, item in enumerate(items) if item.split == train_split], dtype=np.int64)
    if fine_tuned:
        network = Classifier(subject.encoder.encoder, task.num_train_classes)
        train_classifier(
            network,
            source,
            task.train,
            torch.from_numpy(task.train_classes),
            training=teacher_training,
            seed=subject.seed,
            device=subject.device,
            description="train the teacher",
        )
        said, teacher_scores = (predict(network, source, part, device=subject.device) for part in (places, task.test))
        how = f"fine-tuned on {whose}, fixed by the seed ({teacher_training.sentence()})"
    else:
        table = subject.embeddings()
        probe = fit_probe(table, task, l2s=L2S, validation_share=0.2, seed=subject.seed, device=subject.device)
        said, teacher_scores = (probe.scores(table.embeddings[part]) for part in (places, task.test))
        how = f"frozen with a linear probe on {whose}, fixed by the seed"
    targets = (torch.from_numpy(said) / temperature).softmax(1)
    learner = Classifier(_fresh(student, subject.seed), task.num_train_classes)
    train_classifier(
        learner,
        source,
        places,
        targets,
        training=training,
        seed=subject.seed,
        device=subject.device,
        description="train the student",
    )
    scores = predict(learner, source, task.test, device=subject.device)
    size = sum(parameter.numel() for parameter in learner.encoder.parameters())
    teacher_size = sum(parameter.numel() for parameter in subject.encoder.encoder.parameters())
    detail = {"num_train": len(task.train), "num_taught": len(places), "weights": size, "teacher_weights": teacher_size}
    taught = (
        f"A student ({student}, {size} weights) from fresh weights learns the class probabilities, at temperature "
        f"{temperature:g}, that the encoder, {how}, gives {len(places)} clips of {train_split!r}; it sees no label; scored "
        f"once on {len(task.test)} of {test_split!r}: {training.sentence()}"
    )
    remarks = "".join(f". {remark}" for remark in task.remarks())
    rows = [
        *classification_rows(subject, "distillation", scores, task, protocol=f"{taught}{remarks}.", detail=detail),
        *classification_rows(
            subject,
            "distillation",
            teacher_scores,
            task,
            protocol=f"The teacher itself: the encoder, {how}{remarks}.",
            detail=detail,
            suffix=" of the teacher",
        ),
        *constant_rows(subject, "distillation", task),
    ]
    if supervised and not subject.baseline:
        alone = trained_scores(subject, _fresh(student, subject.seed), task, training=training)
        rows += classification_rows(
            subject,
            "distillation",
            alone,
            task,
            protocol=f"The student's architecture, trained on the teacher's {len(task.train)} labels alone: "
            f"{training.sentence()}.",
            detail={"num_train": len(task.train)},
            encoder="supervised:student",
        )
    return rows


def _fresh(spec: Spec | str, seed: int) -> Encoder:
    """An encoder with weights drawn from a seed; global random numbers stay as they were."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder: Encoder = build(spec, ENCODER_CHOICE)
    return encoder
