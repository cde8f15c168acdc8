"""Weighted k-nearest-neighbour classification of frozen embeddings."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int

from mmssl.errors import EvaluationError
from mmssl.evaluation.classification import constant_answers, shown_tops
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject
from mmssl.retrieval.embeddings import EmbeddingTable
from mmssl.retrieval.index import Index

NO_NEIGHBOR = -1
QUERIES_PER_SEARCH = 1024


@dataclass(frozen=True)
class _Task:
    """Which labelled clips are classified by which.

    Args:
        queries: Their positions in the table.
        gallery: Likewise; the same as the queries in leave-one-out.
        leave_one_out: Whether a clip must not vote for itself.
        split: Name of the scored split.
        num_unlabeled: Clips of the two splits that have no label.
    """

    queries: Int[np.ndarray, " queries"]
    gallery: Int[np.ndarray, " gallery"]
    leave_one_out: bool
    split: str
    num_unlabeled: int


def knn(
    subject: Subject,
    *,
    ks: tuple[int, ...] = (20, 10, 100, 200),
    temperature: float = 0.07,
    gallery_split: str = "train",
    query_split: str = "test",
    exclude_same_group: bool = True,
) -> list[ReportRow]:
    """Classifies each clip by a weighted vote of its nearest neighbours; the first k gives the main score.

    The clips of `query_split` are classified by those of `gallery_split`. Where the data has one split, each clip is
    classified by all others (leave-one-out). A neighbour votes for its class with weight exp(cosine / temperature); of
    classes with equal votes the one whose name sorts first wins.

    Args:
        subject: Its clips, or a table of its embeddings; clips without a label are left out and counted.
        ks: Numbers of neighbours; one that is larger than the gallery takes all of it.
        temperature: Divides the cosine similarity; > 0.
        gallery_split: Split that votes.
        query_split: Split that is classified.
        exclude_same_group: In leave-one-out, whether no clip of the clip's own group votes; else only itself does not.

    Returns:
        Top-1 for each k, and top-5 from five classes on, as shares of 1; then what guessing and the most frequent class give.

    Raises:
        EvaluationError: If labels or splits are missing, there is nothing to compare with, or a group is in both splits.

    Source:
        Wu et al. 2018, arXiv:1805.01978, section 3.4, with the settings of Caron et al. 2021, arXiv:2104.14294.
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    if not ks or min(ks) < 1:
        raise ValueError(f"ks must hold at least one number, each at least 1, got {ks}")
    table = subject.embeddings()
    task = _task(table, gallery_split, query_split)
    labels = np.array(table.labels, dtype=object)
    classes = sorted({str(label) for label in labels[[*task.queries, *task.gallery]]})
    number = {name: place for place, name in enumerate(classes)}
    query_classes = np.array([number[label] for label in labels[task.queries]])
    gallery_classes = np.array([number[label] for label in labels[task.gallery]])
    barred = _barred_groups(table, task, exclude_same_group=exclude_same_group)
    similarities, neighbors = _neighbors(table, task, barred, max(ks))
    neighbor_classes = np.where(neighbors == NO_NEIGHBOR, NO_NEIGHBOR, gallery_classes[neighbors])
    facts = {
        "num_classes": len(classes),
        "num_gallery": len(task.gallery),
        "num_unlabeled": task.num_unlabeled,
        "num_without_own_class": _num_without_own_class(query_classes, gallery_classes, barred, task),
    }
    scores, baselines = [], []
    for k in ks:
        votes = weighted_votes(similarities[:, :k], neighbor_classes[:, :k], len(classes), temperature=temperature)
        ranking = np.argsort(-votes, axis=1, kind="stable")
        num_voters = (neighbor_classes[:, :k] != NO_NEIGHBOR).sum(axis=1)
        detail = {**facts, "num_capped": int((num_voters < k).sum())}
        protocol = _protocol(task, detail, k, temperature, exclude_same_group=exclude_same_group)
        for top in shown_tops(len(classes)):
            right = float((ranking[:, :top] == query_classes[:, None]).any(axis=1).mean())
            metric, size = f"top{top}@k={k}", len(task.queries)
            scores.append(
                subject.row("knn", metric, right, split=task.split, num_items=size, protocol=protocol, detail=detail)
            )
            for name, value, sentence in constant_answers(query_classes, gallery_classes, classes, top):
                baselines.append(
                    subject.row("knn", metric, value, split=task.split, num_items=size, protocol=sentence, encoder=name)
                )
    return [*scores, *baselines]


def weighted_votes(
    similarities: Float[np.ndarray, "queries k"],
    neighbor_classes: Int[np.ndarray, "queries k"],
    num_classes: int,
    *,
    temperature: float,
) -> Float64[np.ndarray, "queries classes"]:
    """Sums exp(similarity / temperature) of the neighbours of each class; class -1 stands for no neighbour."""
    votes = np.zeros((len(similarities), num_classes))
    weights = np.exp((similarities.astype(np.float64) - 1.0) / temperature)
    present = neighbor_classes != NO_NEIGHBOR
    queries = np.broadcast_to(np.arange(len(similarities))[:, None], neighbor_classes.shape)
    np.add.at(votes, (queries[present], neighbor_classes[present]), weights[present])
    return votes


def _task(table: EmbeddingTable, gallery_split: str, query_split: str) -> _Task:
    """Finds the labelled clips that vote and those that are classified."""
    labelled = np.array([label is not None for label in table.labels])
    splits = np.array([split or "" for split in table.splits])
    names = sorted(set(splits.tolist()))
    if not labelled.any():
        raise EvaluationError(f"none of {len(table)} clips has a label; knn needs labels in the manifest")
    if len(names) == 1:
        everything = np.flatnonzero(labelled)
        return _Task(everything, everything, True, names[0] or "all", int((~labelled).sum()))
    in_gallery, in_queries = splits == gallery_split, splits == query_split
    gallery, queries = np.flatnonzero(labelled & in_gallery), np.flatnonzero(labelled & in_queries)
    for split, positions in ((gallery_split, gallery), (query_split, queries)):
        if not len(positions):
            raise EvaluationError(
                f"the split {split!r} has no labelled clip; splits are {names}; set gallery_split and query_split"
            )
    if gallery_split == query_split:
        return _Task(queries, queries, True, query_split, int((~labelled & in_queries).sum()))
    shared = sorted({table.groups[place] for place in gallery} & {table.groups[place] for place in queries})
    if shared:
        raise EvaluationError(
            f"{len(shared)} groups stand in both {gallery_split!r} and {query_split!r}, such as {shared[:3]}: clips of one "
            f"source in both splits make the score meaningless; put each group into one split"
        )
    return _Task(queries, gallery, False, query_split, int((~labelled & (in_gallery | in_queries)).sum()))


def _barred_groups(table: EmbeddingTable, task: _Task, *, exclude_same_group: bool) -> Int[np.ndarray, " gallery"]:
    """A number for each clip of the gallery; in leave-one-out, clips of one number do not vote for each other."""
    if not exclude_same_group:
        return np.arange(len(task.gallery))
    return np.unique([table.groups[place] for place in task.gallery], return_inverse=True)[1]


def _neighbors(
    table: EmbeddingTable, task: _Task, barred: Int[np.ndarray, " gallery"], k: int
) -> tuple[Float[np.ndarray, "queries found"], Int[np.ndarray, "queries found"]]:
    """Similarities and gallery places of each query's nearest clips that may vote, -1 where there are fewer than k."""
    index = Index.from_table(table.subset(task.gallery.tolist()))
    if not task.leave_one_out:
        found = index.search(np.asarray(table.embeddings[task.queries]), k)
        return found.scores, found.positions
    largest = int(np.bincount(barred).max())
    if largest == len(index):
        raise EvaluationError(
            f"all {len(index)} labelled clips are of one group, so that none may vote; set exclude_same_group: false, "
            f"or give the manifest's rows groups"
        )
    scores, places = [], []
    for start in range(0, len(task.queries), QUERIES_PER_SEARCH):
        block = task.queries[start : start + QUERIES_PER_SEARCH]
        found = index.search(np.asarray(table.embeddings[block]), k + largest)
        own = barred[found.positions] == barred[start : start + len(block), None]
        order = np.argsort(own, axis=1, kind="stable")[:, :k]
        kept = np.where(own, NO_NEIGHBOR, found.positions)
        scores.append(np.take_along_axis(found.scores, order, axis=1))
        places.append(np.take_along_axis(kept, order, axis=1))
    return np.concatenate(scores), np.concatenate(places)


def _num_without_own_class(
    query_classes: Int[np.ndarray, " queries"],
    gallery_classes: Int[np.ndarray, " gallery"],
    barred: Int[np.ndarray, " gallery"],
    task: _Task,
) -> int:
    """How many queries cannot be right, because no clip of their class may vote."""
    if not task.leave_one_out:
        return int((~np.isin(query_classes, gallery_classes)).sum())
    pairs = np.unique(np.stack([gallery_classes, barred]), axis=1)
    groups_of_class = np.bincount(pairs[0])
    return int((groups_of_class[query_classes] == 1).sum())


def _protocol(task: _Task, detail: dict[str, int], k: int, temperature: float, *, exclude_same_group: bool) -> str:
    """The sentence that says how a score was made."""
    if task.leave_one_out:
        others = "all others of other groups" if exclude_same_group else "all others"
        who = f"Each of {len(task.queries)} labelled clips is classified by {others} (leave-one-out)"
    else:
        who = (
            f"Each of {len(task.queries)} labelled clips of one split is classified by {len(task.gallery)} of the other"
        )
    parts = [
        f"{who}: the {k} nearest by cosine similarity (exact search) vote with weight exp(similarity / {temperature:g})",
        "a clip's embedding is the mean of its frames'",
        "equal votes go to the class that sorts first",
    ]
    if detail["num_capped"]:
        parts.append(f"for {detail['num_capped']} clips fewer than {k} may vote, and all of those do")
    if detail["num_without_own_class"]:
        parts.append(f"for {detail['num_without_own_class']} clips no other of their class may vote")
    if detail["num_unlabeled"]:
        parts.append(f"{detail['num_unlabeled']} clips without a label are left out")
    return "; ".join(parts) + "."
