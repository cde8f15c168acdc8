"""A linear classifier on a frozen encoder, trained by SGD on augmented frames."""

from dataclasses import replace

from mmssl.evaluation.classification import classification_rows, constant_rows
from mmssl.evaluation.classifier_training import ClassifierTraining
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject
from mmssl.evaluation.tuning import labeled_clips, trained_scores

TRAINING = ClassifierTraining(
    epochs=30, batch_size=128, optimizer="sgd", learning_rate=4.0, weight_decay=0.0, crop_scale=(0.2, 1.0)
)


def linear_probe_sgd(
    subject: Subject,
    *,
    train_split: str = "train",
    test_split: str = "test",
    training: ClassifierTraining = TRAINING,
) -> list[ReportRow]:
    """Trains a linear classifier by SGD on a frozen encoder that sees augmented frames.

    The embeddings are standardised by a BatchNorm without weights; the learning rate is divided by their length, so that
    one setting suits encoders of any size.

    Args:
        subject: Its clips; those without a label are left out and counted.
        train_split: Split that is learnt from.
        test_split: Split that is scored.
        training: How long and how fast.

    Returns:
        Top-1, top-5 from five classes on, and the mean recall of a class; then what guessing and the most frequent class give.

    Raises:
        EvaluationError: As `fine_tune`.

    Source:
        He et al. 2020, arXiv:1911.05722, section 4.1; the BatchNorm: He et al. 2021, arXiv:2111.06377, appendix A.1.
    """
    _, task = labeled_clips(subject, train_split=train_split, test_split=test_split)
    encoder = subject.encoder.encoder
    scaled = replace(training, learning_rate=training.learning_rate / encoder.dim)
    scores = trained_scores(subject, encoder, task, training=scaled, frozen=True)
    protocol = ". ".join(
        [
            f"Linear classifier on a frozen encoder and standardised embeddings, trained on {len(task.train)} labelled "
            f"clips of {train_split!r}, scored once on {len(task.test)} of {test_split!r}: {training.sentence()}; the "
            f"learning rate is divided by the embedding's length",
            *task.remarks(),
        ]
    )
    detail = {"num_classes": len(task.classes), "num_train": len(task.train), "num_unlabeled": task.num_unlabeled}
    return [
        *classification_rows(subject, "linear_probe_sgd", scores, task, protocol=f"{protocol}.", detail=detail),
        *constant_rows(subject, "linear_probe_sgd", task),
    ]
