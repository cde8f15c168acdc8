"""Labelled clips as a task: which are learnt from, which are scored, and parts of them that a seed fixes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int

from mmssl.errors import EvaluationError


@dataclass(frozen=True)
class LabeledSplits:
    """The labelled clips of two splits, by their positions among all clips.

    Args:
        classes: Names; those of the training split first, each part sorted.
        num_train_classes: How many of them the training split has.
        train: Positions of the clips that are learnt from.
        train_classes: Their classes, as places in `classes`.
        test: Positions of the clips that are scored.
        test_classes: Likewise.
        train_split: Name of the split that is learnt from.
        test_split: Name of the scored split.
        num_unlabeled: Clips of the two splits that have no label.
    """

    classes: tuple[str, ...]
    num_train_classes: int
    train: Int[np.ndarray, " train"]
    train_classes: Int[np.ndarray, " train"]
    test: Int[np.ndarray, " test"]
    test_classes: Int[np.ndarray, " test"]
    train_split: str
    test_split: str
    num_unlabeled: int

    @property
    def num_without_own_class(self) -> int:
        """Scored clips that cannot be right, because their class is not in the training split."""
        return int((self.test_classes >= self.num_train_classes).sum())

    def trained_on(self, kept: Bool[np.ndarray, " train"]) -> "LabeledSplits":
        """The same task with a part of the clips that are learnt from."""
        return replace(self, train=self.train[kept], train_classes=self.train_classes[kept])

    def remarks(self, items: str = "clips") -> list[str]:
        """What a protocol has to add about the data, whose items it calls so."""
        remarks = []
        if self.num_without_own_class:
            remarks.append(f"{self.num_without_own_class} scored {items} are of a class that is not learnt from")
        if self.num_unlabeled:
            remarks.append(f"{self.num_unlabeled} {items} without a label are left out")
        return remarks


def labeled_splits(
    labels: Sequence[str | None],
    splits: Sequence[str | None],
    groups: Sequence[str],
    *,
    train_split: str,
    test_split: str,
) -> LabeledSplits:
    """Takes the labelled clips of two splits.

    Args:
        labels: Class of each clip, or None.
        splits: Split of each clip, or None.
        groups: Clips of one source share it.
        train_split: Split that is learnt from.
        test_split: Split that is scored.

    Raises:
        EvaluationError: If labels or splits are missing, the training split has one class, or a group is in both splits.
    """
    names = sorted({split or "none" for split in splits})
    if all(label is None for label in labels):
        raise EvaluationError(f"none of {len(labels)} clips has a label; this protocol needs labels in the manifest")
    if train_split == test_split:
        raise EvaluationError(
            f"train_split and test_split are both {train_split!r}: what is learnt from cannot be scored; splits are {names}"
        )
    of_split = np.array([split or "none" for split in splits])
    labeled = np.array([label is not None for label in labels])
    positions = [np.flatnonzero(labeled & (of_split == split)) for split in (train_split, test_split)]
    for split, found in zip((train_split, test_split), positions, strict=True):
        if not len(found):
            raise EvaluationError(
                f"the split {split!r} has no labelled clip; splits are {names}; set train_split and test_split, "
                f"or give the manifest's rows splits"
            )
    train, test = positions
    group_of, label_of = np.array(groups, dtype=object), np.array(labels, dtype=object)
    shared = sorted(set(group_of[train]) & set(group_of[test]))
    if shared:
        raise EvaluationError(
            f"{len(shared)} groups stand in both {train_split!r} and {test_split!r}, such as {shared[:3]}: clips of one "
            f"source in both splits make the score meaningless; put each group into one split"
        )
    known = sorted(set(label_of[train]))
    if len(known) == 1:
        raise EvaluationError(
            f"all {len(train)} labelled clips of the split {train_split!r} are of one class, {known[0]!r}; "
            f"a classifier needs two at least"
        )
    classes = [*known, *sorted(set(label_of[test]) - set(known))]
    number = {name: place for place, name in enumerate(classes)}
    return LabeledSplits(
        classes=tuple(classes),
        num_train_classes=len(known),
        train=train,
        train_classes=np.array([number[name] for name in label_of[train]]),
        test=test,
        test_classes=np.array([number[name] for name in label_of[test]]),
        train_split=train_split,
        test_split=test_split,
        num_unlabeled=int((~labeled & np.isin(of_split, [train_split, test_split])).sum()),
    )


def shuffled(names: Sequence[str], *, seed: int, purpose: str) -> Int[np.ndarray, " items"]:
    """Positions in an order that depends on each item's own name, the seed and the purpose alone."""
    keys = [hashlib.blake2b(f"{seed}/{purpose}/{name}".encode(), digest_size=8).digest() for name in names]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)


def validation_part(
    classes: Int[np.ndarray, " items"], groups: Sequence[str], *, share: float, seed: int
) -> Bool[np.ndarray, " items"]:
    """Marks about a share of each class's groups, to choose settings on; what is not marked holds every class.

    A group belongs to the class of its first clip and goes over as a whole. A class of one group stays unmarked.

    Args:
        classes: Of each clip.
        groups: Of each clip.
        share: Of the groups, in (0, 1); rounded down, but one group at least where a class has two.
        seed: Fixes the choice.
    """
    names, first, group = np.unique(np.asarray(groups), return_index=True, return_inverse=True)
    order = shuffled([str(name) for name in names], seed=seed, purpose="validation part")
    class_of_group = classes[first]
    marked = np.zeros(len(names), dtype=bool)
    for number in np.unique(class_of_group):
        members = order[class_of_group[order] == number]
        count = int(share * len(members))
        marked[members[: max(count, 1) if len(members) > 1 else 0]] = True
    return marked[group]


def balanced_part(
    classes: Int[np.ndarray, " items"], ids: Sequence[str], *, per_class: int, seed: int
) -> Bool[np.ndarray, " items"]:
    """Marks the same number of clips of each class, or all of a class that has fewer; a larger number marks more of the same.

    Args:
        classes: Of each clip.
        ids: Of each clip.
        per_class: Clips of each class; > 0.
        seed: Fixes the choice.
    """
    order = shuffled(ids, seed=seed, purpose="balanced part")
    marked = np.zeros(len(ids), dtype=bool)
    for number in np.unique(classes):
        marked[order[classes[order] == number][:per_class]] = True
    return marked


def balanced_share(task: LabeledSplits, ids: Sequence[str], share: float, *, seed: int) -> tuple[LabeledSplits, str]:
    """The task with a share of its training clips, as many of each class, and how a protocol names them.

    Args:
        task: Whose training clips are drawn from.
        ids: Of all clips.
        share: In (0, 1]; 1 takes all as they are. One clip of each class at least.
        seed: Fixes the choice.

    Raises:
        ValueError: If the share is not in (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"a share of labels must lie in (0, 1], got {share}")
    if share == 1:
        return task, f"all {len(task.train)} labelled clips of {task.train_split!r}"
    per_class = max(1, round(share * len(task.train) / task.num_train_classes))
    kept = balanced_part(task.train_classes, [ids[place] for place in task.train], per_class=per_class, seed=seed)
    fewest = int(np.bincount(task.train_classes[kept]).min())
    each = (
        f"{per_class} of each class" if fewest == per_class else f"up to {per_class} of each class, {fewest} at least"
    )
    return task.trained_on(kept), f"{kept.sum()} labelled clips of {task.train_split!r} ({100 * share:g} %: {each})"
