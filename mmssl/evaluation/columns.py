"""One protocol on several kinds of labels of the same clips, such as the words of a sentence."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from mmssl.data.manifest import Manifest
from mmssl.errors import EvaluationError
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject
from mmssl.retrieval.embeddings import EmbeddingTable
from mmssl.retrieval.over_time import OverTime


def score_columns(
    subject: Subject, columns: Sequence[str], over_time: OverTime, score: Callable[[EmbeddingTable], list[ReportRow]]
) -> list[ReportRow]:
    """Scores the clips by their label, or by each of some further columns of the manifest in turn.

    Args:
        subject: Its clips, and for columns its manifest.
        columns: Of the manifest; metrics then begin with the column's name. None for the rows' own label.
        over_time: What embeddings keep of a clip's frames.
        score: The protocol, on a table whose labels are set.

    Raises:
        EvaluationError: If a column is asked for but there is no manifest, or it lacks a clip's row.
    """
    table = subject.embeddings(over_time)
    if not columns:
        return score(table)
    rows: list[ReportRow] = []
    for column in columns:
        labelled = replace(table, labels=column_values(table, subject, column))
        rows += [replace(row, metric=f"{column} {row.metric}") for row in score(labelled)]
    return rows


def column_values(table: EmbeddingTable, subject: Subject, column: str) -> tuple[str | None, ...]:
    """What each clip's row of the manifest says in a further column.

    Raises:
        EvaluationError: If there is no manifest, or it lacks a clip's row or the column.
    """
    found = values_by_row(subject.manifest, column)
    missing = [row_id for row_id in table.row_ids if row_id not in found]
    if missing:
        assert subject.manifest is not None
        raise EvaluationError(
            f"{subject.manifest.path} has no row {missing[0]!r}, which a clip is of; give the manifest the clips were decoded "
            "from"
        )
    return tuple(found[row_id] for row_id in table.row_ids)


def values_by_row(manifest: Manifest | None, column: str) -> dict[str, str | None]:
    """What each row of a manifest says in a further column, by the row's id.

    Raises:
        EvaluationError: If there is no manifest, or it lacks the column.
    """
    if manifest is None:
        raise EvaluationError(f"{column!r} is a column of a manifest; give `manifest: FILE` beside the clips")
    found = {row.id: None if row.extra.get(column) is None else str(row.extra[column]) for row in manifest.rows}
    if all(value is None for value in found.values()):
        known = sorted({name for row in manifest.rows for name in row.extra})
        raise EvaluationError(f"{manifest.path}: has no column {column!r}; its further columns are {known}")
    return found
