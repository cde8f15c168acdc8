"""What is said when in a recording: the entries of an alignment, which a column of the manifest holds for each row.

An alignment is a list of `[begin, end, label]`, in order, without overlap, in seconds on the file's time axis: words, phones, or
whatever else lies in time. What no entry covers, such as silence, has no label; an alignment that is to name silence gives it
an entry of its own.
"""

from bisect import bisect_right
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from mmssl.data.manifest import Manifest
from mmssl.errors import EvaluationError

_TOLERANCE_SECONDS = 1e-6


class Entry(NamedTuple):
    """A stretch of time and what is said in it."""

    begin_seconds: float
    end_seconds: float
    label: str


def alignments(manifest: Manifest | None, column: str) -> dict[str, list[Entry] | None]:
    """The alignment of each row by its id; None for rows without one.

    Raises:
        EvaluationError: If there is no manifest, no row has an alignment in this column, or one cannot be read.
    """
    if manifest is None:
        raise EvaluationError(
            f"the alignment {column!r} is a column of a manifest; give `manifest: FILE` beside the clips"
        )
    found = {row.id: _entries(row.id, column, row.extra.get(column)) for row in manifest.rows}
    if all(entries is None for entries in found.values()):
        known = sorted({name for row in manifest.rows for name in row.extra})
        raise EvaluationError(
            f"{manifest.path}: no row has an alignment in a column {column!r}; its further columns are {known}; one holds "
            "[begin, end, label] in seconds for each word or phone"
        )
    return found


def alignment_of(found: dict[str, list[Entry] | None], row_id: str) -> list[Entry] | None:
    """The alignment of a clip's row.

    Raises:
        EvaluationError: If the manifest has no such row.
    """
    if row_id not in found:
        raise EvaluationError(
            f"the manifest has no row {row_id!r}, which a clip is of; give the manifest the clips were decoded from"
        )
    return found[row_id]


def entries_at(entries: list[Entry], times: Float[np.ndarray, " times"]) -> Int[np.ndarray, " times"]:
    """The number of the entry that holds each time, begin included, end not; -1 where none does."""
    begins = [entry.begin_seconds for entry in entries]
    places = np.array([bisect_right(begins, time) - 1 for time in times.tolist()], dtype=np.int64)
    ends = np.array([entry.end_seconds for entry in entries])
    held = (places >= 0) & (times < ends[places])
    return np.where(held, places, -1)


def _entries(row_id: str, column: str, value: Any) -> list[Entry] | None:
    if value is None or value == []:
        return None
    if not isinstance(value, list):
        raise EvaluationError(f"{row_id}: {column} is {value!r}, not a list of [begin, end, label]")
    entries: list[Entry] = []
    for part in value:
        try:
            begin, end, label = part
            entry = Entry(float(begin), float(end), str(label))
        except (TypeError, ValueError) as error:
            raise EvaluationError(
                f"{row_id}: {part!r} in {column} is not [begin, end, label], such as [0.5, 0.8, 'bin']"
            ) from error
        if not entry.begin_seconds < entry.end_seconds:
            raise EvaluationError(f"{row_id}: {part!r} in {column} does not begin before it ends")
        if entries and entry.begin_seconds < entries[-1].end_seconds - _TOLERANCE_SECONDS:
            raise EvaluationError(
                f"{row_id}: {part!r} in {column} begins before {list(entries[-1])!r} ends; entries must be in order and not "
                "overlap"
            )
        entries.append(entry)
    return entries
