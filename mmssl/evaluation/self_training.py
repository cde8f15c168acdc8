"""Self-training: a classifier learns from few labels, then from its own answers on the clips without one."""

import numpy as np
import torch
from jaxtyping import Float

from mmssl.evaluation.classification import classification_rows, constant_rows
from mmssl.evaluation.labeled import balanced_share, labeled_splits
from mmssl.evaluation.linear_probe import L2S, check_probe_settings, fit_probe, how_chosen, standardization
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject
from mmssl.functional.logistic import fit_logistic


def self_training(
    subject: Subject,
    *,
    share: float = 0.01,
    num_rounds: int = 3,
    smallest_confidence: float = 0.9,
    train_split: str = "train",
    test_split: str = "test",
    l2s: tuple[float, ...] = L2S,
    validation_share: float = 0.2,
) -> list[ReportRow]:
    """Refits a linear probe on few labels together with its own sure answers on all other training clips.

    Only the few labels are used; the labels of the other training clips are looked at by nobody.

    Args:
        subject: Its clips, or a table of its embeddings.
        share: Of the training split's labels, in (0, 1]; see `few_labels`.
        num_rounds: Times that the other clips are labelled and the classifier is fitted anew.
        smallest_confidence: Probability from which an answer counts as a label.
        train_split: Split that is learnt from; its clips without a label are used too.
        test_split: Split that is scored.
        l2s: Penalties to choose from, on a part of the few labelled clips.
        validation_share: That part.

    Returns:
        Top-1, top-5 from five classes on, and the mean recall of a class, after the last round, and before the first for
        comparison; then what guessing and the most frequent class give.

    Raises:
        EvaluationError: If labels or splits are missing, the training split has one class, or a group is in both splits.

    Source:
        Lee 2013, "Pseudo-label: the simple and efficient semi-supervised learning method for deep neural networks".
    """
    check_probe_settings(l2s, validation_share)
    if num_rounds < 1 or not 0 < smallest_confidence <= 1:
        raise ValueError(
            f"num_rounds must be at least 1 and smallest_confidence in (0, 1], got {num_rounds}, {smallest_confidence}"
        )
    table = subject.embeddings()
    whole = labeled_splits(table.labels, table.splits, table.groups, train_split=train_split, test_split=test_split)
    task, whose = balanced_share(whole, table.ids, share, seed=subject.seed)
    probe = fit_probe(table, task, l2s=l2s, validation_share=validation_share, seed=subject.seed, device=subject.device)
    in_train = np.flatnonzero(np.array([split == train_split for split in table.splits]))
    others = np.setdiff1d(in_train, task.train)
    embeddings = torch.from_numpy(np.array(table.embeddings[np.concatenate([task.train, others])])).to(subject.device)
    mean, deviation = standardization(embeddings)
    features = (embeddings - mean) / deviation
    known = torch.from_numpy(task.train_classes).to(subject.device)
    answers = torch.from_numpy(probe.scores(table.embeddings[others])).to(subject.device)
    num_sure = []
    for _ in range(num_rounds):
        confidence, answer = answers.softmax(1).max(1)
        sure = confidence >= smallest_confidence
        num_sure.append(int(sure.sum()))
        taught = torch.cat([torch.ones(len(known), dtype=torch.bool, device=sure.device), sure])
        classifier = fit_logistic(
            features[taught], torch.cat([known, answer])[taught], num_classes=task.num_train_classes, l2=probe.l2
        )
        answers = classifier.scores(features[len(known) :])
    test = torch.from_numpy(np.array(table.embeddings[task.test])).to(subject.device)
    scores: Float[np.ndarray, "test classes"] = classifier.scores((test - mean) / deviation).cpu().numpy()
    before = (
        f"Logistic regression (L-BFGS) on frozen, standardised embeddings of {whose}, fixed by the seed, scored once on "
        f"{len(task.test)} of {test_split!r}; {how_chosen(probe, l2s)}; {subject.clip_in_words()}"
    )
    after = (
        f"{before}; then fitted anew {num_rounds} times together with those of its own answers, on the other {len(others)} "
        f"clips of {train_split!r}, that have a probability of {smallest_confidence:g} or more; the last round is scored"
    )
    detail = {"num_train": len(task.train), "num_others": len(others), "num_sure": num_sure, "l2": probe.l2}
    suffix = f"@{100 * share:g}%"
    remarks = "".join(f". {remark}" for remark in task.remarks())
    return [
        *classification_rows(
            subject, "self_training", scores, task, protocol=f"{after}{remarks}.", detail=detail, suffix=suffix
        ),
        *classification_rows(
            subject,
            "self_training",
            probe.scores(table.embeddings[task.test]),
            task,
            protocol=f"{before}{remarks}.",
            detail=detail,
            suffix=f"{suffix} before",
        ),
        *constant_rows(subject, "self_training", task, suffix=suffix),
    ]
