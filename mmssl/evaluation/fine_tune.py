"""Fine-tuning: the encoder goes on learning from labels, with a classifier on top."""

from mmssl.evaluation.classification import classification_rows, constant_rows
from mmssl.evaluation.classifier_training import ClassifierTraining
from mmssl.evaluation.labeled import balanced_share
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject
from mmssl.evaluation.tuning import labeled_clips, trained_scores

TRAINING = ClassifierTraining(epochs=20)


def fine_tune(
    subject: Subject,
    *,
    train_split: str = "train",
    test_split: str = "test",
    share: float = 1.0,
    training: ClassifierTraining = TRAINING,
) -> list[ReportRow]:
    """Trains encoder and classifier end to end on labels; the row of `random:` is supervised learning on the same labels.

    Args:
        subject: Its clips; those without a label are left out and counted.
        train_split: Split that is learnt from.
        test_split: Split that is scored.
        share: Of the labels to use, as many of each class; 1 for all.
        training: How long and how fast.

    Returns:
        Top-1, top-5 from five classes on, and the mean recall of a class; then what guessing and the most frequent class give.

    Raises:
        EvaluationError: If there are no clips, labels or splits are missing, the training split has one class, a group is in
            both splits, or the training diverges.

    Source:
        Yosinski et al. 2014, arXiv:1411.1792; for encoders learnt without labels Chen et al. 2020, arXiv:2002.05709, appendix B.
    """
    source, task = labeled_clips(subject, train_split=train_split, test_split=test_split)
    task, whose = balanced_share(task, [item.id for item in source.items], share, seed=subject.seed)
    scores = trained_scores(subject, subject.encoder.encoder, task, training=training)
    protocol = ". ".join(
        [
            f"Encoder and linear classifier trained end to end on {whose}, scored once on {len(task.test)} of "
            f"{test_split!r}: {training.sentence()}",
            *task.remarks(),
        ]
    )
    detail = {"num_classes": len(task.classes), "num_train": len(task.train), "num_unlabeled": task.num_unlabeled}
    return [
        *classification_rows(subject, "fine_tune", scores, task, protocol=f"{protocol}.", detail=detail),
        *constant_rows(subject, "fine_tune", task),
    ]
