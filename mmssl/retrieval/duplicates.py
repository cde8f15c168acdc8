"""Groups of items whose embeddings are nearer to each other than those of different things are."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from jaxtyping import Float32, Int64
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from mmssl.retrieval.embeddings import EmbeddingTable
from mmssl.retrieval.index import unit_rows
from mmssl.retrieval.index_tuning import tuned_index

MISSED_COPIES = 0.05
STRANGERS_AN_ITEM = 0.01
NUM_STRANGERS = 200_000
NEIGHBORS = 30
ROWS_AT_ONCE = 4096
ROUNDING = 1e-6
LARGEST = 1 - 1e-7


@dataclass(frozen=True)
class Calibration:
    """From which similarity on two items count as near-duplicates, and why.

    Args:
        threshold: Cosine similarity: the larger of the two below.
        copies: What 95 % of the copies, changed a little, exceed when compared with their originals.
        strangers: What so few pairs of different items exceed that one in a hundred items meets a stranger, if the similarities
            of random pairs are spread, by Fisher's transformation, as a normal distribution is; median and upper spread are
            those of the pairs, so that duplicates among them do not move it.
        num_copies: Copies that were made.
        num_strangers: Pairs that were drawn.
    """

    threshold: float
    copies: float
    strangers: float
    num_copies: int
    num_strangers: int

    def in_words(self) -> str:
        """Where the threshold comes from, as a sentence; says where it lets copies pass."""
        said = (
            f"Two items are near-duplicates from a cosine similarity of {self.threshold:.4f} on. Of {self.num_copies} copies "
            f"with small changes {1 - MISSED_COPIES:.0%} exceed {self.copies:.4f}; by the spread of {self.num_strangers} random "
            f"pairs, one item in {1 / STRANGERS_AN_ITEM:.0f} meets a different one above {self.strangers:.4f}."
        )
        if self.strangers <= self.copies:
            return said
        return f"{said} So this encoder does not tell all copies from strangers: changed copies may be missed."


def calibration(
    table: EmbeddingTable,
    originals: Sequence[int],
    copies: Sequence[Float32[np.ndarray, "originals dim"]],
    *,
    seed: int = 0,
) -> Calibration:
    """Sets the threshold by copies of the data's own items, and by its random pairs.

    Args:
        table: Embeddings of all items.
        originals: Places of those that were copied.
        copies: Embeddings of their copies, for each kind of change.
        seed: Of the random pairs.
    """
    own = unit_rows(table.embeddings[np.asarray(originals)])
    similar = np.concatenate([(own * unit_rows(changed)).sum(axis=1) for changed in copies])
    random = np.random.default_rng(seed)
    first, second = random.integers(0, len(table), (2, NUM_STRANGERS))
    rows = np.unique(np.array(table.row_ids), return_inverse=True)[1]
    first, second = (places[rows[first] != rows[second]] for places in (first, second))
    apart = np.concatenate(
        [
            (unit_rows(table.embeddings[first[start:stop]]) * unit_rows(table.embeddings[second[start:stop]])).sum(
                axis=1
            )
            for start, stop in _blocks(len(first))
        ]
        or [np.full(1, -1.0)]
    )
    caught = float(np.quantile(similar, MISSED_COPIES))
    middle, above = np.arctanh(np.quantile(apart, [0.5, NormalDist().cdf(1)]).clip(-LARGEST, LARGEST))
    deviations = NormalDist().inv_cdf(1 - STRANGERS_AN_ITEM / max(len(table), 2))
    taken = float(np.tanh(middle + deviations * (above - middle)))
    return Calibration(max(caught, taken), caught, taken, len(similar), len(first))


def near_pairs(
    table: EmbeddingTable, threshold: float
) -> tuple[Int64[np.ndarray, "pairs 2"], Float32[np.ndarray, " pairs"]]:
    """Places of items of different rows that are as similar as a threshold, and their cosine similarities.

    Each item is compared with its nearest neighbors, which the index finds; a pair stands once, with the first place first.
    """
    index, _ = tuned_index(table, target=0.99)
    place_of = {id_: place for place, id_ in enumerate(table.ids)}
    places = np.array([place_of[id_] for id_ in index.ids])
    rows = np.unique(np.array(table.row_ids), return_inverse=True)[1]
    found: dict[tuple[int, int], float] = {}
    for start, stop in _blocks(len(table)):
        scores, positions = index.nearest(np.asarray(table.embeddings[start:stop]), NEIGHBORS)
        for query, rank in np.argwhere(scores >= threshold - ROUNDING).tolist():
            one, other = start + query, int(places[positions[query, rank]])
            if rows[one] != rows[other]:
                found[min(one, other), max(one, other)] = float(scores[query, rank])
    pairs = np.array(sorted(found), dtype=np.int64).reshape(-1, 2)
    return pairs, np.array([found[one, other] for one, other in pairs.tolist()], dtype=np.float32)


def groups_of(pairs: Int64[np.ndarray, "pairs 2"], count: int) -> list[list[int]]:
    """Items that pairs connect, directly or through others, the largest groups first."""
    links = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    numbers = connected_components(links, directed=False)[1]
    members: dict[int, list[int]] = {}
    for place in np.unique(pairs).tolist():
        members.setdefault(int(numbers[place]), []).append(place)
    return sorted(members.values(), key=lambda group: (-len(group), group))


def _blocks(length: int) -> list[tuple[int, int]]:
    return [(start, min(start + ROWS_AT_ONCE, length)) for start in range(0, length, ROWS_AT_ONCE)]
