"""Runs with several seeds in one table: means and spread over the seeds, then what each run gave."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import mean, stdev

from mmssl.evaluation.report_row import ReportRow

SUMMARIES: dict[str, Callable[[list[float]], float]] = {"mean {}": mean, "deviation of {}": stdev}
"""By the title of the column."""


def of_seed(row: ReportRow, *, evaluation: str) -> ReportRow:
    """The row of one run in the table of an evaluation over seeds."""
    return replace(row, evaluation=evaluation, metric=f"{row.metric}, seed {row.seed}")


def with_summaries(rows: Sequence[ReportRow], columns: Sequence[tuple[str, str]]) -> list[ReportRow]:
    """Summaries of the encoders that ran with several seeds, then the runs.

    Args:
        rows: Of runs, as `of_seed` names them; earlier summaries among them are left out.
        columns: Title in `SUMMARIES` and metric of each summary.
    """
    measured = [row for row in rows if ", seed " in row.metric]
    found: list[ReportRow] = []
    for title, metric in columns:
        for name in dict.fromkeys(row.encoder for row in measured):
            own = [row for row in measured if row.encoder == name and row.metric == f"{metric}, seed {row.seed}"]
            if len(own) > 1:
                value = SUMMARIES[title]([row.value for row in own if row.value is not None])
                found.append(replace(own[0], metric=title.format(metric), value=value, seed=-1))
    return [*found, *measured]
