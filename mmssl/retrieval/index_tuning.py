"""Makes an index that finds as many of the true neighbors as is asked for, measured on queries that it does not hold."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

import faiss
import numpy as np
from jaxtyping import Float32, Int64

from mmssl.errors import RetrievalError
from mmssl.progress import Progress
from mmssl.retrieval.embeddings import EmbeddingTable
from mmssl.retrieval.index import Index, unit_rows
from mmssl.retrieval.index_kinds import INDEX_KINDS, Effort, kind_for

AUTO = "auto"
MAX_QUERIES = 2000
TIMED_QUERIES = 100
TRAINING_ROWS = 100_000
ROWS_AT_ONCE = 10_000
TIE = 1e-6
"""Cosine similarities that differ by less count as equal."""
CLEAR_RECALL = 0.995
"""Where the curve ends, if the target is not above it."""


@dataclass(frozen=True)
class CurvePoint:
    """What an effort brings.

    Args:
        effort: Settings of the search.
        recall: Mean over the queries that the effort is chosen on.
        recall_low: Two standard errors below it.
        milliseconds: Median over queries that are looked up one at a time.
    """

    effort: Effort
    recall: float
    recall_low: float
    milliseconds: float


@dataclass(frozen=True)
class Tuning:
    """How an index was tuned, and what it reaches.

    Args:
        kind: Of `INDEX_KINDS`.
        target: Recall that is asked for.
        k: Neighbors that it is measured on.
        num_chosen_on: Queries that the effort is chosen on.
        num_measured_on: Other queries, which `recall` is measured on.
        curve: Recall and time of each effort that was tried.
        place: Of the chosen one on the curve.
        recall: On the other queries: the share of each query's k true neighbors that are among the k found, its mean.
        exact_milliseconds: Of one query compared with every embedding.
        build_seconds: Of training and adding.
        whose: What the queries are, such as `held-out`.
    """

    kind: str
    target: float
    k: int
    num_chosen_on: int
    num_measured_on: int
    curve: tuple[CurvePoint, ...]
    place: int
    recall: float
    exact_milliseconds: float
    build_seconds: float
    whose: str = "held-out"

    @property
    def met(self) -> bool:
        """Whether the target is reached on queries that had no part in the choice."""
        return self.recall >= self.target

    @property
    def chosen(self) -> CurvePoint:
        """The effort that the index is saved with."""
        return self.curve[self.place]

    def in_words(self) -> str:
        """What was reached, as a sentence, and what to do where it is too little."""
        settings = ", ".join(f"{name} {value}" for name, value in self.chosen.effort.items())
        said = (
            f"{self.kind} with {settings}: recall@{self.k} {self.recall:.3f} on {self.num_measured_on} {self.whose} queries, "
            f"{self.chosen.milliseconds:.2f} ms a query; exact search takes {self.exact_milliseconds:.2f} ms"
        )
        if self.met:
            return f"{said}. The target of {self.target:g} is met."
        other = " or ".join(name for name in INDEX_KINDS if name != self.kind)
        return f"{said}. The target of {self.target:g} is NOT met; take another kind ({other}) or a lower target."

    def to_json(self) -> dict[str, Any]:
        """For a file beside the index."""
        return {**asdict(self), "met": self.met, "in_words": self.in_words()}


def tuned_index(
    table: EmbeddingTable,
    *,
    kind: str = AUTO,
    target: float = 0.95,
    k: int = 10,
    seed: int = 0,
    queries: EmbeddingTable | None = None,
) -> tuple[Index, Tuning | None]:
    """An index of all embeddings of a table, with the least effort that reaches a recall.

    Some rows, drawn at random, are held out while the index is built, and looked up in it. On half of them the least effort is
    chosen whose recall is above the target by two standard errors; on the other half it is measured. Then they are added. Where
    queries are given, these are looked up in their place, half to choose by and half to measure on.

    Args:
        table: Embeddings with their ids; those of the index come in another order.
        kind: Of `INDEX_KINDS`; `auto` goes by the number of embeddings.
        target: Share of the k true neighbors that are to be among the k found.
        k: Neighbors.
        seed: Of the held-out rows, or of the order of the queries.
        queries: What the index will be asked, such as sentences for an index of images; by the table's encoder.

    Returns:
        The index, and how it was tuned; None for an exact one, which needs no tuning.

    Raises:
        RetrievalError: If there is no such kind, the embeddings or queries are too few for it, the target is out of range, or the
            queries are of another encoder.
    """
    chosen_kind = kind_for(len(table)) if kind == AUTO else kind
    if not 0 < target < 1 or k < 1:
        raise RetrievalError(f"a target of recall lies between 0 and 1 and k is at least 1, got {target} and {k}")
    if chosen_kind == "flat":
        return Index.from_table(table), None
    index = Index(
        table.dim,
        kind=chosen_kind,
        expected=len(table),
        encoder=table.encoder,
        encoder_digest=table.encoder_digest,
    )
    if queries is not None:
        index.expect_encoder(queries.encoder_digest)
    num_held = 0 if queries is not None else min(MAX_QUERIES, len(table) // 5)
    asked = num_held if queries is None else min(MAX_QUERIES, len(queries))
    if asked < 2 or len(table) - num_held < k:
        raise RetrievalError(
            f"{len(table)} embeddings and {asked} queries are too few to tune an index by recall@{k}; use flat"
        )
    order = np.random.default_rng(seed).permutation(len(table))
    held, kept = np.sort(order[:num_held]), np.sort(order[num_held:])
    began = time.perf_counter()
    index.train(table.embeddings[np.sort(order[num_held : num_held + TRAINING_ROWS])])
    _add(index, table, kept)
    build_seconds = time.perf_counter() - began
    rows = unit_rows(table.embeddings[kept])
    asked_rows = table.embeddings[held] if queries is None else queries.embeddings
    shuffled = np.random.default_rng([seed, 1]).permutation(len(asked_rows))[:asked]
    tuning = _tuned(index, rows, unit_rows(asked_rows[shuffled]), target=target, k=k, build_seconds=build_seconds)
    if num_held:
        _add(index, table, held)
    return index, tuning if queries is None else replace(tuning, whose="given")


def true_neighbors(
    rows: Float32[np.ndarray, "items dim"], queries: Float32[np.ndarray, "queries dim"], k: int
) -> Float32[np.ndarray, "queries k"]:
    """Cosine similarities of the k nearest of unit vectors, by comparing all."""
    scores: Float32[np.ndarray, "queries k"] = faiss.knn(queries, rows, k, metric=faiss.METRIC_INNER_PRODUCT)[0]
    return scores


def recalls(
    rows: Float32[np.ndarray, "items dim"],
    queries: Float32[np.ndarray, "queries dim"],
    found: Int64[np.ndarray, "queries found"],
    true_scores: Float32[np.ndarray, "queries k"],
) -> Float32[np.ndarray, " queries"]:
    """Share of each query's true neighbors that were found; one that is as near as the k-th true one counts as true.

    Args:
        rows: Unit vectors that were searched.
        queries: Unit vectors.
        found: Places of what was found.
        true_scores: See `true_neighbors`.
    """
    scores = np.einsum("qkd,qd->qk", rows[found], queries)
    shares: Float32[np.ndarray, " queries"] = (scores >= true_scores[:, -1:] - TIE).mean(axis=1, dtype=np.float32)
    return shares * np.float32(scores.shape[1] / true_scores.shape[1])


def _add(index: Index, table: EmbeddingTable, places: Int64[np.ndarray, " rows"]) -> None:
    """Adds rows of a table in blocks, so that no second copy of it is made."""
    with Progress("index", len(places), unit="embeddings") as progress:
        for start in range(0, len(places), ROWS_AT_ONCE):
            block = places[start : start + ROWS_AT_ONCE]
            index.add([table.ids[place] for place in block], table.embeddings[block])
            progress.advance(len(block))


def _tuned(
    index: Index,
    rows: Float32[np.ndarray, "items dim"],
    queries: Float32[np.ndarray, "queries dim"],
    *,
    target: float,
    k: int,
    build_seconds: float,
) -> Tuning:
    """Climbs the efforts of an index until the target is clearly passed, and leaves it at the least that reaches it."""
    choosing, measuring = np.array_split(queries, 2)
    truth = true_neighbors(rows, choosing, k)

    def timed(search: Callable[[np.ndarray], object]) -> float:
        """Median milliseconds of one query at a time."""
        seconds = []
        for query in choosing[:TIMED_QUERIES]:
            began = time.perf_counter()
            search(query[None])
            seconds.append(time.perf_counter() - began)
        return 1e3 * median(seconds)

    curve: list[CurvePoint] = []
    for effort in INDEX_KINDS[index.kind].efforts(len(rows)):
        index.spend(effort)
        each = recalls(rows, choosing, index.nearest(choosing, k)[1], truth)
        low = float(each.mean() - 2 * each.std() / len(each) ** 0.5)
        curve.append(CurvePoint(effort, float(each.mean()), low, timed(lambda query: index.nearest(query, k))))
        if low >= max(target, CLEAR_RECALL):
            break
    reaching = [place for place, point in enumerate(curve) if point.recall_low >= target]
    place = reaching[0] if reaching else max(range(len(curve)), key=lambda number: curve[number].recall)
    index.spend(curve[place].effort)
    found = index.nearest(measuring, k)[1]
    return Tuning(
        kind=index.kind,
        target=target,
        k=k,
        num_chosen_on=len(choosing),
        num_measured_on=len(measuring),
        curve=tuple(curve),
        place=place,
        recall=float(recalls(rows, measuring, found, true_neighbors(rows, measuring, k)).mean()),
        exact_milliseconds=timed(lambda query: true_neighbors(rows, query, k)),
        build_seconds=build_seconds,
    )
