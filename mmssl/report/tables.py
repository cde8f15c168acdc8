"""Report rows as Markdown tables: the only way numbers get into the documents."""

from collections.abc import Sequence

from mmssl.evaluation.report_row import ReportRow


def markdown_table(rows: Sequence[ReportRow]) -> str:
    """One table for each data set, split and evaluation: a line an encoder, a column a metric, protocols below.

    Scores are shown times 100; a baseline's name is set in italics, the best score of a metric in bold.

    Args:
        rows: In the order in which encoders and metrics are to stand.
    """
    tables: dict[tuple[str, str, str], list[ReportRow]] = {}
    for row in rows:
        tables.setdefault((row.dataset, row.split, row.evaluation), []).append(row)
    return "\n\n".join(_one_table(*key, group) for key, group in tables.items()) + "\n"


def _one_table(dataset: str, split: str, evaluation: str, rows: list[ReportRow]) -> str:
    """A table of one evaluation on one split."""
    metrics = list(dict.fromkeys(row.metric for row in rows))
    encoders = {row.encoder: row.baseline for row in rows}
    cells = {(row.encoder, row.metric): row.value for row in rows}
    lines = [
        f"**{_escape(evaluation)}** on {_escape(dataset)}, split {_escape(split)}, {rows[0].num_items} items (values x 100)",
        "",
        "| encoder | " + " | ".join(map(_escape, metrics)) + " |",
        "| --- |" + " ---: |" * len(metrics),
    ]
    best = {
        metric: max((value for (_, name), value in cells.items() if name == metric and value is not None), default=None)
        for metric in metrics
    }
    for encoder, is_baseline in encoders.items():
        shown = [_value(cells.get((encoder, metric)), best[metric]) for metric in metrics]
        name = f"*{_escape(encoder)}*" if is_baseline else _escape(encoder)
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    protocols = dict.fromkeys(row.protocol for row in rows if not row.baseline and row.metric == metrics[0])
    return "\n".join([*lines, "", *(f"Protocol: {_escape(protocol)}" for protocol in protocols)])


def _value(value: float | None, best: float | None) -> str:
    """A cell: the value times 100, bold where it is the best."""
    if value is None:
        return ""
    text = f"{100 * value:.1f}"
    return f"**{text}**" if value == best else text


def _escape(text: str) -> str:
    """Text that cannot end a cell or start a tag."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
