"""Report rows as Markdown tables: the way numbers get into the documents."""

from collections.abc import Sequence

from mmssl.evaluation.report_row import ReportRow
from mmssl.report.scores import ScoreTable, score_tables, shown


def markdown_table(rows: Sequence[ReportRow]) -> str:
    """One table for each data set, split and evaluation: a line an encoder, a column a metric, protocols below.

    Baselines are set in italics, the highest main score in bold.

    Args:
        rows: In the order in which encoders and metrics are to stand; baselines go below the rest.
    """
    return "\n\n".join(_markdown(table) for table in score_tables(rows)) + "\n"


def _markdown(table: ScoreTable) -> str:
    lines = [
        f"**{_escape(table.evaluation)}** on {_escape(table.dataset)}, split {_escape(table.split)}, "
        f"{table.num_items} items",
        "",
        "| encoder | " + " | ".join(map(_escape, table.metrics)) + " |",
        "| --- |" + " ---: |" * len(table.metrics),
    ]
    for line in table.lines:
        name = f"*{_escape(line.encoder)}*" if line.baseline else _escape(line.encoder)
        main, *others = [shown(cell.value if cell is not None else None) for cell in line.cells]
        best = line.main is not None and line.main == table.highest
        lines.append(f"| {name} | " + " | ".join([f"**{main}**" if best else main, *others]) + " |")
    return "\n".join([*lines, "", *(f"- {_escape(protocol)}" for protocol in table.protocols)])


def _escape(text: str) -> str:
    """Text that cannot end a cell, start a tag or set itself in another type."""
    for sign in "\\`*_|":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("<", "&lt;").replace("\n", " ")
