"""Weighted k-nearest-neighbour classification of frozen embeddings."""

import numpy as np
from jaxtyping import Float, Float64, Int

from mmssl.evaluation.classification import constant_answers, shown_tops
from mmssl.evaluation.columns import score_columns
from mmssl.evaluation.gallery import GalleryTask, gallery_task
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject
from mmssl.retrieval.embeddings import EmbeddingTable
from mmssl.retrieval.index import Index
from mmssl.retrieval.over_time import OverTime

NO_NEIGHBOR = -1
QUERIES_PER_SEARCH = 1024


def knn(
    subject: Subject,
    *,
    ks: tuple[int, ...] = (20, 10, 100, 200),
    temperature: float = 0.07,
    gallery_split: str = "train",
    query_split: str = "test",
    exclude_same_group: bool = True,
    labels: tuple[str, ...] = (),
    over_time: OverTime = "mean",
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
        labels: Further columns of the manifest to score in turn, in place of the rows' label.
        over_time: What embeddings keep of a clip's frames, see `retrieval.over_time`.

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

    def score(table: EmbeddingTable) -> list[ReportRow]:
        task = gallery_task(
            table,
            gallery_split=gallery_split,
            query_split=query_split,
            exclude_same_group=exclude_same_group,
            evaluation="knn",
        )
        return _score(subject, table, task, ks=ks, temperature=temperature)

    return score_columns(subject, labels, over_time, score)


def _score(
    subject: Subject, table: EmbeddingTable, task: GalleryTask, *, ks: tuple[int, ...], temperature: float
) -> list[ReportRow]:
    similarities, neighbors = _neighbors(table, task, max(ks))
    neighbor_classes = np.where(neighbors == NO_NEIGHBOR, NO_NEIGHBOR, task.gallery_classes[neighbors])
    facts = {
        "num_classes": len(task.classes),
        "num_gallery": len(task.gallery),
        "num_unlabeled": task.num_unlabeled,
        "num_without_own_class": task.num_without_own_class,
    }
    scores, baselines = [], []
    for k in ks:
        votes = weighted_votes(similarities[:, :k], neighbor_classes[:, :k], len(task.classes), temperature=temperature)
        ranking = np.argsort(-votes, axis=1, kind="stable")
        num_voters = (neighbor_classes[:, :k] != NO_NEIGHBOR).sum(axis=1)
        detail = {**facts, "num_capped": int((num_voters < k).sum())}
        protocol = _protocol(
            task, detail["num_capped"], k, temperature, clip_in_words=subject.clip_in_words(table.over_time)
        )
        for top in shown_tops(len(task.classes)):
            right = float((ranking[:, :top] == task.query_classes[:, None]).any(axis=1).mean())
            metric, size = f"top{top}@k={k}", len(task.queries)
            scores.append(
                subject.row("knn", metric, right, split=task.split, num_items=size, protocol=protocol, detail=detail)
            )
            for name, value, sentence in constant_answers(task.query_classes, task.gallery_classes, task.classes, top):
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


def _neighbors(
    table: EmbeddingTable, task: GalleryTask, k: int
) -> tuple[Float[np.ndarray, "queries found"], Int[np.ndarray, "queries found"]]:
    """Similarities and gallery places of each query's nearest clips that may vote, -1 where there are fewer than k."""
    index = Index.from_table(table.subset(task.gallery.tolist()))
    if not task.leave_one_out:
        return index.nearest(np.asarray(table.embeddings[task.queries]), k)
    largest = int(np.bincount(task.barred).max())
    scores, places = [], []
    for start in range(0, len(task.queries), QUERIES_PER_SEARCH):
        block = task.queries[start : start + QUERIES_PER_SEARCH]
        similarities, positions = index.nearest(np.asarray(table.embeddings[block]), k + largest)
        own = task.barred[positions] == task.barred[start : start + len(block), None]
        order = np.argsort(own, axis=1, kind="stable")[:, :k]
        kept = np.where(own, NO_NEIGHBOR, positions)
        scores.append(np.take_along_axis(similarities, order, axis=1))
        places.append(np.take_along_axis(kept, order, axis=1))
    return np.concatenate(scores), np.concatenate(places)


def _protocol(task: GalleryTask, num_capped: int, k: int, temperature: float, *, clip_in_words: str) -> str:
    """The sentence that says how a score was made."""
    parts = [
        f"{task.who('classified by')}: the {k} nearest by cosine similarity (exact search) vote with weight "
        f"exp(similarity / {temperature:g})",
        clip_in_words,
        "equal votes go to the class that sorts first",
    ]
    if num_capped:
        parts.append(f"for {num_capped} clips fewer than {k} may vote, and all of those do")
    if task.num_without_own_class:
        parts.append(f"for {task.num_without_own_class} clips no other of their class may vote")
    if task.num_unlabeled:
        parts.append(f"{task.num_unlabeled} clips without a label are left out")
    return "; ".join(parts) + "."
