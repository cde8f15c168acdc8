"""The linear probe with few labels: 1 % and 10 % of them."""

from mmssl.evaluation.classification import classification_rows, constant_rows
from mmssl.evaluation.classifier_training import ClassifierTraining
from mmssl.evaluation.labeled import balanced_share, labeled_splits
from mmssl.evaluation.linear_probe import L2S, check_probe_settings, fit_probe, how_chosen, probe_detail
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject
from mmssl.evaluation.tuning import supervised_rows


def few_labels(
    subject: Subject,
    *,
    shares: tuple[float, ...] = (0.01, 0.1),
    train_split: str = "train",
    test_split: str = "test",
    l2s: tuple[float, ...] = L2S,
    validation_share: float = 0.2,
    supervised: ClassifierTraining | None = None,
) -> list[ReportRow]:
    """Classifies clips by logistic regression on frozen embeddings of a class-balanced share of the labels.

    Which clips are labelled depends on the seed and on their own names; a larger share holds the smaller ones.

    Args:
        subject: Its clips, or a table of its embeddings; clips without a label are left out and counted.
        shares: Of the training split's labels, in (0, 1]; one clip of each class at least.
        train_split: Split that is learnt from.
        test_split: Split that is scored.
        l2s: Penalties to choose from, on a part of the few labelled clips.
        validation_share: That part.
        supervised: How the same architecture is trained from fresh weights on the same labels, to stand beside; it needs
            clips, and time. Nothing where not given.

    Returns:
        Top-1, top-5 from five classes on, and the mean recall of a class, for each share; then what guessing, the most
        frequent class and, if asked for, supervised learning give.

    Raises:
        EvaluationError: If labels or splits are missing, the training split has one class, or a group is in both splits.

    Source:
        1 % and 10 % of labels: Chen et al. 2020, arXiv:2002.05709, section 6; by a linear classifier.
    """
    check_probe_settings(l2s, validation_share)
    table = subject.embeddings()
    whole = labeled_splits(table.labels, table.splits, table.groups, train_split=train_split, test_split=test_split)
    rows, baselines = [], []
    for share in shares:
        task, whose = balanced_share(whole, table.ids, share, seed=subject.seed)
        probe = fit_probe(
            table, task, l2s=l2s, validation_share=validation_share, seed=subject.seed, device=subject.device
        )
        protocol = ". ".join(
            [
                f"Logistic regression (L-BFGS) on frozen, standardised embeddings of {whose}, fixed by the seed, scored once "
                f"on {len(task.test)} of {test_split!r}; {how_chosen(probe, l2s)}; a clip's embedding is the mean of its "
                f"frames'",
                *task.remarks(),
            ]
        )
        suffix = f"@{100 * share:g}%"
        scores = probe.scores(table.embeddings[task.test])
        rows += classification_rows(
            subject,
            "few_labels",
            scores,
            task,
            protocol=f"{protocol}.",
            detail=probe_detail(task, probe),
            suffix=suffix,
        )
        baselines += constant_rows(subject, "few_labels", task, suffix=suffix)
        baselines += supervised_rows(subject, "few_labels", task, supervised, suffix=suffix)
    return [*rows, *baselines]
