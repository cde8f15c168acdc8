"""An index over embeddings, of any of FAISS's kinds that are known here."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32, Int64

from mmssl.errors import RetrievalError
from mmssl.retrieval.embeddings import EmbeddingTable
from mmssl.retrieval.index_kinds import Effort, built
from mmssl.retrieval.storage import read_folder, write_folder

RECORD = "index.json"


@dataclass(frozen=True)
class Neighbors:
    """What a search found, best first.

    Args:
        ids: Of the neighbours of each query.
        scores: Cosine similarities.
        positions: Places of the neighbours in the index, in the order they were added.
    """

    ids: tuple[tuple[str, ...], ...]
    scores: Float32[np.ndarray, "queries k"]
    positions: Int64[np.ndarray, "queries k"]


class Index:
    """Finds the embeddings nearest by cosine similarity.

    Args:
        dim: Length of an embedding.
        kind: Of `INDEX_KINDS`; `flat` is exact, the others are made by `tuned_index`.
        expected: How many embeddings there will be, for kinds that depend on it.
        encoder: Reference of the encoder that made the embeddings.
        encoder_digest: Names its weights.

    Raises:
        RetrievalError: If there is no such kind, or the embeddings are too few for it.
    """

    def __init__(
        self, dim: int, *, kind: str = "flat", expected: int = 1, encoder: str = "", encoder_digest: str = ""
    ) -> None:
        self.dim = dim
        self.kind = kind
        self.encoder = encoder
        self.encoder_digest = encoder_digest
        self.ids: list[str] = []
        self.effort: Effort = {}
        self._known: set[str] = set()
        self._faiss = built(kind, dim, expected)

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def from_table(cls, table: EmbeddingTable) -> "Index":
        """An exact index of all the embeddings of a table."""
        index = cls(table.dim, encoder=table.encoder, encoder_digest=table.encoder_digest)
        index.add(table.ids, table.embeddings)
        return index

    def train(self, embeddings: Float32[np.ndarray, "items dim"]) -> None:
        """Fits what the kind of index needs to know of the embeddings, such as its cells, before they are added."""
        self._faiss.train(self._normalized(embeddings))

    def spend(self, effort: Effort) -> None:
        """Sets what is spent on each search from now on; an index is saved with it."""
        for name, value in effort.items():
            faiss.ParameterSpace().set_index_parameter(self._faiss, name, value)
        self.effort = dict(effort)

    def add(self, ids: Sequence[str], embeddings: Float32[np.ndarray, "items dim"]) -> None:
        """Adds embeddings, which are normalised here.

        Raises:
            RetrievalError: If they do not fit the ids or the index, an id is there already, a value is not finite, or the
                index is to be trained first.
        """
        if not self._faiss.is_trained:
            raise RetrievalError(f"an index of kind {self.kind} must be trained before embeddings are added")
        if len(ids) != len(embeddings):
            raise RetrievalError(f"{len(ids)} ids but {len(embeddings)} embeddings")
        rows = self._normalized(embeddings)
        new = set(ids)
        if len(new) < len(ids) or not self._known.isdisjoint(new):
            seen = set(self._known)
            repeated = next(id_ for id_ in ids if id_ in seen or seen.add(id_))  # type: ignore[func-returns-value]
            raise RetrievalError(f"the id {repeated!r} stands more than once; ids must be unique in an index")
        self._faiss.add(rows)
        self.ids.extend(ids)
        self._known |= new

    def search(self, queries: Float32[np.ndarray, "queries dim"], k: int) -> Neighbors:
        """The k nearest embeddings of each query, or all where there are fewer or the index reaches fewer.

        Equal scores come in the order of addition; which of several equal ones at rank k is left out is not defined.

        Args:
            queries: Normalised here; a query of zeros scores 0 with everything.
            k: Number of neighbours, >= 1.

        Raises:
            RetrievalError: If the index is empty, or the queries have another length or values that are not finite.
        """
        scores, positions = self.nearest(queries, k)
        names = np.array(self.ids, dtype=object)[positions].tolist()
        return Neighbors(tuple(tuple(row) for row in names), scores, positions)

    def nearest(
        self, queries: Float32[np.ndarray, "queries dim"], k: int
    ) -> tuple[Float32[np.ndarray, "queries found"], Int64[np.ndarray, "queries found"]]:
        """Cosine similarities and places of what `search` finds, without the ids: for many neighbours of many queries."""
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        if not self.ids:
            raise RetrievalError("the index is empty; add embeddings before searching")
        scores, positions = self._faiss.search(self._normalized(queries), min(k, len(self)))
        reached = (positions >= 0).sum(axis=1).min(initial=positions.shape[1])
        scores, positions = scores[:, :reached], positions[:, :reached]
        order = np.lexsort((positions, -scores), axis=1)
        return np.take_along_axis(scores, order, axis=1), np.take_along_axis(positions, order, axis=1)

    def expect_encoder(self, digest: str) -> None:
        """Makes sure that queries come from the encoder that made the index.

        Raises:
            RetrievalError: If they do not.
        """
        if digest != self.encoder_digest:
            raise RetrievalError(
                f"the index holds embeddings of {self.encoder} (digest {self.encoder_digest}), "
                f"the queries come from an encoder with digest {digest}; embed both with one encoder"
            )

    def save(self, folder: Path) -> None:
        """Writes `index.faiss`, `ids.parquet` and, last, `index.json`.

        Raises:
            RetrievalError: If the index is empty.
        """
        if not self.ids:
            raise RetrievalError(f"{folder}: the index is empty; add embeddings before saving it")
        facts = {
            "kind": self.kind,
            "effort": self.effort,
            "metric": "cosine",
            "encoder": self.encoder,
            "encoder_digest": self.encoder_digest,
            "count": len(self),
            "dim": self.dim,
        }
        writers = {
            "index.faiss": lambda path: faiss.write_index(self._faiss, str(path)),
            "ids.parquet": lambda path: pq.write_table(pa.table({"id": pa.array(self.ids, pa.string())}), path),
        }
        write_folder(folder, RECORD, facts, writers)

    @classmethod
    def load(cls, folder: Path) -> "Index":
        """Reads an index; FAISS sees its file only after the checksum was found right.

        Raises:
            RetrievalError: If there is no index, a file is damaged, or the files do not fit each other.
        """
        facts = read_folder(folder, RECORD, noun="index")
        if not {"index.faiss", "ids.parquet"} <= facts["checksums"].keys():
            raise RetrievalError(f"{folder / RECORD}: holds no checksum of the index; make the index again")
        try:
            index = cls(
                int(facts["dim"]),
                kind=facts["kind"],
                expected=int(facts["count"]),
                encoder=facts["encoder"],
                encoder_digest=facts["encoder_digest"],
            )
            index.effort = dict(facts["effort"])
            index.ids = pq.read_table(folder / "ids.parquet").column("id").to_pylist()
            index._faiss = faiss.read_index(str(folder / "index.faiss"))
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, pa.ArrowException) as error:
            raise RetrievalError(f"{folder}: is damaged ({error!r}); make the index again") from error
        index._known = set(index.ids)
        found = (index._faiss.d, index._faiss.ntotal, len(index._known))
        if found != (facts["dim"], facts["count"], facts["count"]):
            raise RetrievalError(
                f"{folder}: index.json says {facts['count']} embeddings of length {facts['dim']}, index.faiss holds "
                f"{found[1]} of length {found[0]} and ids.parquet {found[2]} ids; make the index again"
            )
        return index

    def _normalized(self, embeddings: Float32[np.ndarray, "items dim"]) -> Float32[np.ndarray, "items dim"]:
        if embeddings.ndim != 2 or embeddings.shape[1] != self.dim:
            raise RetrievalError(f"the index holds embeddings of length {self.dim}, got shape {embeddings.shape}")
        if not np.isfinite(embeddings).all():
            raise RetrievalError("an embedding holds a value that is not finite")
        return unit_rows(embeddings)


def unit_rows(embeddings: Float32[np.ndarray, "items dim"]) -> Float32[np.ndarray, "items dim"]:
    """Embeddings of length one; zeros stay."""
    rows = np.array(embeddings, dtype=np.float32)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1)
