"""Kinds of index: how each is built, from what size on it is worth it, and what may be spent on a search."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import faiss

from mmssl.errors import RetrievalError

Effort = dict[str, int]
"""Settings of FAISS that trade the time of a search for its recall, by FAISS's own names."""

LEAST_POINTS_A_CELL = 39
"""Below it FAISS finds that k-means has too little to go by."""

CODES = 256


@dataclass(frozen=True)
class IndexKind:
    """A way to find neighbors.

    Args:
        source: Where it comes from.
        factory: From the embeddings' dim and their expected number to FAISS's description of an index.
        efforts: From their expected number to what may be spent on a search, the least first; empty where there is no choice.
        up_to: Number of embeddings below which `kind_for` prefers it to the next kind.
        at_least: Number of embeddings that it needs to be trained.
    """

    source: str
    factory: Callable[[int, int], str]
    efforts: Callable[[int], list[Effort]]
    up_to: int | float
    at_least: int = 1


def rising(first: int, last: int) -> list[int]:
    """Whole numbers from the first to the last, each about 1.41 times the one before."""
    steps = round(2 * math.log2(last / first)) if last > first else 0
    return sorted({min(last, round(first * 2 ** (step / 2))) for step in range(steps + 1)} | {first, last})


def num_cells(count: int) -> int:
    """Cells of an inverted file: about four times the root of the number of embeddings, a power of two."""
    wanted = min(4 * math.sqrt(count), count / LEAST_POINTS_A_CELL)
    return 1 << math.floor(math.log2(max(1.0, wanted)))


def _ivf_pq(dim: int, count: int) -> str:
    most = min(64, max(1, dim // 4))
    bytes_a_code = max(part for part in range(1, most + 1) if dim % part == 0)
    return f"IVF{num_cells(count)},PQ{bytes_a_code},Refine(SQfp16)"


INDEX_KINDS: dict[str, IndexKind] = {
    "flat": IndexKind("compares with every embedding; exact", lambda dim, count: "Flat", lambda count: [], 50_000),
    "hnsw": IndexKind(
        "Malkov and Yashunin 2018, arXiv:1603.09320",
        lambda dim, count: "HNSW32,Flat",
        lambda count: [{"efSearch": ef} for ef in rising(16, 4096)],
        1_000_000,
    ),
    "ivf": IndexKind(
        "inverted file: compares with the embeddings of the nearest cells of k-means; Sivic and Zisserman 2003",
        lambda dim, count: f"IVF{num_cells(count)},Flat",
        lambda count: [{"nprobe": cells} for cells in rising(1, num_cells(count))],
        10_000_000,
    ),
    "ivf_pq": IndexKind(
        "inverted file of product-quantized embeddings, the best compared again at 16 bits; Jegou et al. 2011",
        _ivf_pq,
        lambda count: [
            {"nprobe": cells, "k_factor_rf": max(4, min(64, cells))} for cells in rising(1, num_cells(count))
        ],
        math.inf,
        at_least=LEAST_POINTS_A_CELL * CODES,
    ),
}
"""Name of a kind of index to what it is, in the order of the sizes that they are for; all compare by inner product."""


def kind_for(count: int) -> str:
    """The kind of index for a number of embeddings."""
    return next(name for name, kind in INDEX_KINDS.items() if count < kind.up_to)


def built(kind: str, dim: int, count: int) -> faiss.Index:
    """An empty index.

    Args:
        kind: Of `INDEX_KINDS`.
        dim: Length of an embedding.
        count: How many embeddings are expected.

    Raises:
        RetrievalError: If there is no such kind, or the embeddings are too few for it.
    """
    if kind not in INDEX_KINDS:
        raise RetrievalError(f"{kind!r} is no kind of index; kinds are {list(INDEX_KINDS)}")
    if count < INDEX_KINDS[kind].at_least:
        raise RetrievalError(
            f"an index of kind {kind} is trained on at least {INDEX_KINDS[kind].at_least} embeddings, there are {count}; "
            f"use {kind_for(count)}"
        )
    return faiss.index_factory(dim, INDEX_KINDS[kind].factory(dim, count), faiss.METRIC_INNER_PRODUCT)
