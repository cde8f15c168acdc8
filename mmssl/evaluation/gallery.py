"""Labelled clips that are looked up among other labelled clips: which are the queries, which the gallery."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from mmssl.errors import EvaluationError
from mmssl.retrieval.embeddings import EmbeddingTable


@dataclass(frozen=True)
class GalleryTask:
    """Which labelled clips are looked up, and among which.

    Args:
        queries: Their positions in the table.
        gallery: Likewise; the same as the queries in leave-one-out.
        query_classes: Places of their classes in `classes`.
        gallery_classes: Likewise.
        barred: A number for each clip of the gallery; in leave-one-out, clips of one number do not count for each other.
        classes: Names, sorted.
        leave_one_out: Whether queries and gallery are the same clips.
        exclude_same_group: In leave-one-out, whether a number of `barred` stands for a group and not for a clip.
        split: Name of the scored split.
        num_unlabeled: Clips of the two splits that have no label.
    """

    queries: Int[np.ndarray, " queries"]
    gallery: Int[np.ndarray, " gallery"]
    query_classes: Int[np.ndarray, " queries"]
    gallery_classes: Int[np.ndarray, " gallery"]
    barred: Int[np.ndarray, " gallery"]
    classes: tuple[str, ...]
    leave_one_out: bool
    exclude_same_group: bool
    split: str
    num_unlabeled: int

    @property
    def num_without_own_class(self) -> int:
        """How many queries cannot be right, because no clip of their class counts for them."""
        if not self.leave_one_out:
            return int((~np.isin(self.query_classes, self.gallery_classes)).sum())
        pairs = np.unique(np.stack([self.gallery_classes, self.barred]), axis=1)
        groups_of_class = np.bincount(pairs[0])
        return int((groups_of_class[self.query_classes] == 1).sum())

    def who(self, verb: str) -> str:
        """The first half of a protocol's sentence: who is compared with whom."""
        if self.leave_one_out:
            others = "all others of other groups" if self.exclude_same_group else "all others"
            return f"Each of {len(self.queries)} labelled clips is {verb} {others} (leave-one-out)"
        return f"Each of {len(self.queries)} labelled clips of one split is {verb} {len(self.gallery)} of the other"


def gallery_task(
    table: EmbeddingTable, *, gallery_split: str, query_split: str, exclude_same_group: bool, evaluation: str
) -> GalleryTask:
    """Finds queries and gallery; where the data has one split, each clip is looked up among all others.

    Args:
        table: With labels, splits and groups.
        gallery_split: Split that is searched.
        query_split: Split that is scored.
        exclude_same_group: In leave-one-out, whether clips of one group do not count for each other.
        evaluation: Name, for messages.

    Raises:
        EvaluationError: If labels or splits are missing, there is nothing to compare with, or a group is in both splits.
    """
    labeled = np.array([label is not None for label in table.labels])
    splits = np.array([split or "" for split in table.splits])
    names = sorted(set(splits.tolist()))
    if not labeled.any():
        raise EvaluationError(f"none of {len(table)} clips has a label; {evaluation} needs labels in the manifest")
    if len(names) == 1:
        everything = np.flatnonzero(labeled)
        return _task(
            table, everything, everything, exclude_same_group, names[0] or "all", int((~labeled).sum()), evaluation
        )
    in_gallery, in_queries = splits == gallery_split, splits == query_split
    gallery, queries = np.flatnonzero(labeled & in_gallery), np.flatnonzero(labeled & in_queries)
    for split, positions in ((gallery_split, gallery), (query_split, queries)):
        if not len(positions):
            raise EvaluationError(
                f"the split {split!r} has no labelled clip; splits are {names}; set gallery_split and query_split"
            )
    if gallery_split == query_split:
        unlabeled = int((~labeled & in_queries).sum())
        return _task(table, queries, queries, exclude_same_group, query_split, unlabeled, evaluation)
    shared = sorted({table.groups[place] for place in gallery} & {table.groups[place] for place in queries})
    if shared:
        raise EvaluationError(
            f"{len(shared)} groups stand in both {gallery_split!r} and {query_split!r}, such as {shared[:3]}: clips of one "
            f"source in both splits make the score meaningless; put each group into one split"
        )
    unlabeled = int((~labeled & (in_gallery | in_queries)).sum())
    return _task(table, queries, gallery, exclude_same_group, query_split, unlabeled, evaluation)


def _task(
    table: EmbeddingTable,
    queries: Int[np.ndarray, " queries"],
    gallery: Int[np.ndarray, " gallery"],
    exclude_same_group: bool,
    split: str,
    num_unlabeled: int,
    evaluation: str,
) -> GalleryTask:
    labels = np.array(table.labels, dtype=object)
    classes = sorted({str(label) for label in labels[[*queries, *gallery]]})
    number = {name: place for place, name in enumerate(classes)}
    barred = np.arange(len(gallery))
    if exclude_same_group:
        barred = np.unique([table.groups[place] for place in gallery], return_inverse=True)[1]
    task = GalleryTask(
        queries=queries,
        gallery=gallery,
        query_classes=np.array([number[label] for label in labels[queries]]),
        gallery_classes=np.array([number[label] for label in labels[gallery]]),
        barred=barred,
        classes=tuple(classes),
        leave_one_out=queries is gallery,
        exclude_same_group=exclude_same_group,
        split=split,
        num_unlabeled=num_unlabeled,
    )
    if task.leave_one_out and int(np.bincount(barred).max()) == len(gallery):
        raise EvaluationError(
            f"all {len(gallery)} labelled clips are of one group, so that {evaluation} has nothing to compare with; "
            f"set exclude_same_group: false, or give the manifest's rows groups"
        )
    return task
