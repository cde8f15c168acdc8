"""A linear classifier before speakers, cameras or places that it has not learnt from: each group left out in turn."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from mmssl.errors import EvaluationError
from mmssl.evaluation.classification import shown_tops, top_accuracy
from mmssl.evaluation.classifier_training import ClassifierTraining
from mmssl.evaluation.labeled import LabeledSplits, balanced_part, labeled_splits
from mmssl.evaluation.linear_probe import L2S, check_probe_settings, fit_probe
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject
from mmssl.evaluation.tuning import fresh_encoder, supervised_name, trained_scores
from mmssl.retrieval.embeddings import EmbeddingTable
from mmssl.retrieval.over_time import OverTime

MAX_GROUPS = 20


def left_out(
    subject: Subject,
    *,
    groups: tuple[str, ...] = (),
    per_class: tuple[int, ...] = (1, 5),
    num_draws: int = 5,
    l2s: tuple[float, ...] = L2S,
    validation_share: float = 0.2,
    supervised: ClassifierTraining | None = None,
    over_time: OverTime = "mean",
) -> list[ReportRow]:
    """Classifies the clips of each group by logistic regression on frozen embeddings of all other groups' clips.

    Args:
        subject: Its clips, or a table of its embeddings; splits do not matter, clips without a label are left out.
        groups: Those to leave out in turn; all where not given.
        per_class: Numbers of labels of each class to learn from, besides all there are.
        num_draws: Choices of these few labels, over which their scores are means.
        l2s: Penalties to choose from, on a part of the clips that are learnt from, kept apart by groups where classes have
            clips of several groups there.
        validation_share: That part.
        supervised: How the same architecture is trained from fresh weights on all labels of the other groups, each time, to
            stand beside; it needs clips, and time. Nothing where not given.
        over_time: What embeddings keep of a clip's frames, see `retrieval.over_time`.

    Returns:
        Mean over groups of the top-1, which weigh alike, from all labels and from few; each group's own is in the detail. Then
        what guessing and, if asked for, supervised learning give.

    Raises:
        EvaluationError: If labels are missing, there are fewer than two groups, or more than twenty are to be left out.
    """
    check_probe_settings(l2s, validation_share)
    if num_draws < 1 or min(per_class, default=1) < 1:
        raise ValueError(f"num_draws and every per_class must be at least 1, got {num_draws} and {per_class}")
    table = subject.embeddings(over_time)
    known = sorted({group for group, label in zip(table.groups, table.labels, strict=True) if label is not None})
    if len(known) < 2 or len(groups or known) > MAX_GROUPS or not set(groups) <= set(known):
        raise EvaluationError(
            f"the labelled clips are of {len(known)} group(s), such as {known[:3]}; this protocol leaves each out in turn, or "
            f"those of `groups`, {list(groups)}, and wants 2 to {MAX_GROUPS}, such as speakers; set the manifest's groups"
        )
    tasks = {group: _without(table, group) for group in groups or known}
    accuracy = partial(_accuracy, subject, table, l2s=l2s, validation_share=validation_share)
    scores = {"top1": {group: accuracy(task) for group, task in tasks.items()}}
    for count in per_class:
        scores[f"top1 from {count} a class"] = {
            group: float(np.mean([accuracy(_few(table, task, count, draw)) for draw in range(num_draws)]))
            for group, task in tasks.items()
        }
    num_items = sum(len(task.test) for task in tasks.values())
    protocol = (
        f"Logistic regression (L-BFGS) on frozen, standardised embeddings of the clips of all groups but one, scored on that "
        f"one's, {_which(tasks, known)}; L2 penalty of {', '.join(f'{l2:g}' for l2 in l2s)}, "
        f"chosen each time on a part of the clips that are learnt from; from few labels, the mean over {num_draws} choices "
        f"of them; {subject.clip_in_words(table.over_time)}."
    )
    num_classes = max(len(task.classes) for task in tasks.values())
    guess = f"A guess among {num_classes} classes with equal odds."

    split = "each group" if len(tasks) == len(known) else ", ".join(tasks)

    def row(metric: str, value: float, protocol: str, **facts: Any) -> ReportRow:
        return subject.row("left_out", metric, value, split=split, num_items=num_items, protocol=protocol, **facts)

    return [
        *(row(metric, _mean(found), protocol, detail={"sequences": found}) for metric, found in scores.items()),
        *(row(metric, 1 / num_classes, guess, encoder="chance") for metric in scores),
        *_supervised(subject, tasks, supervised, row),
    ]


def _supervised(
    subject: Subject,
    tasks: Mapping[str, LabeledSplits],
    training: ClassifierTraining | None,
    row: Callable[..., ReportRow],
) -> list[ReportRow]:
    """The same architecture trained on the labels of all groups but one, each in turn."""
    encoder = fresh_encoder(subject) if training is not None else None
    if training is None or encoder is None:
        return []
    found = {}
    for group, task in tasks.items():
        scores = trained_scores(subject, encoder, task, training=training)
        found[group] = top_accuracy(scores, task.test_classes, shown_tops(len(task.classes))[0])
    protocol = (
        "The same architecture from fresh weights, trained end to end on the labels of all groups but one, scored on that "
        f"one's, each in turn; the mean over groups; {training.sentence(sound=encoder.sample_rate is not None)}."
    )
    facts = {"detail": {"sequences": found}, "encoder": supervised_name(subject)}
    return [row("top1", _mean(found), protocol, **facts)]


def _which(tasks: Collection[str], known: Collection[str]) -> str:
    """Says which groups were left out."""
    if len(tasks) == 1:
        return f"{next(iter(tasks))} of {len(known)} groups"
    some = "" if len(tasks) == len(known) else f"{len(tasks)} of "
    return f"each of {some}{len(known)} groups in turn; the mean over groups"


def _mean(found: Mapping[str, float]) -> float:
    return float(np.mean(list(found.values())))


def _without(table: EmbeddingTable, group: str) -> LabeledSplits:
    """Learning from all groups but one, which is scored."""
    splits = ["test" if of == group else "train" for of in table.groups]
    return labeled_splits(table.labels, splits, table.groups, train_split="train", test_split="test")


def _few(table: EmbeddingTable, task: LabeledSplits, per_class: int, draw: int) -> LabeledSplits:
    ids = [table.ids[place] for place in task.train]
    return task.trained_on(balanced_part(task.train_classes, ids, per_class=per_class, seed=draw))


def _accuracy(
    subject: Subject,
    table: EmbeddingTable,
    task: LabeledSplits,
    *,
    l2s: tuple[float, ...],
    validation_share: float,
) -> float:
    probe = fit_probe(table, task, l2s=l2s, validation_share=validation_share, seed=subject.seed, device=subject.device)
    scores: Float[np.ndarray, "test classes"] = probe.scores(table.embeddings[task.test])
    return top_accuracy(scores, task.test_classes, shown_tops(len(task.classes))[0])
