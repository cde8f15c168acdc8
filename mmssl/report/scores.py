"""Report rows arranged for reading: a table for each evaluation, encoders down, metrics across."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from mmssl.evaluation.report_row import ReportRow


@dataclass(frozen=True)
class Line:
    """One encoder's scores.

    Args:
        encoder: Its name.
        baseline: Whether it stands for comparison.
        cells: The row of each metric of the table, None where the encoder has none.
    """

    encoder: str
    baseline: bool
    cells: tuple[ReportRow | None, ...]

    @property
    def main(self) -> float | None:
        """Its value of the main metric."""
        return self.cells[0].value if self.cells[0] is not None else None


@dataclass(frozen=True)
class ScoreTable:
    """The scores of one evaluation on one split of one data set.

    Args:
        dataset: See `ReportRow`, like `split` and `evaluation`.
        split: The split that was scored.
        evaluation: Name of the protocol.
        metrics: In the order the evaluation gave them; the first is the main one.
        lines: Encoders, then baselines.
    """

    dataset: str
    split: str
    evaluation: str
    metrics: tuple[str, ...]
    lines: tuple[Line, ...]

    @property
    def ranked(self) -> bool:
        """Whether a higher main value is better."""
        return all(line.cells[0].is_score for line in self.lines if line.cells[0] is not None)

    @property
    def best(self) -> Line | None:
        """The encoder, no baseline, with the highest main score."""
        return _highest([line for line in self.lines if not line.baseline])

    @property
    def best_baseline(self) -> Line | None:
        """The baseline with the highest main score."""
        return _highest([line for line in self.lines if line.baseline])

    @property
    def num_items(self) -> int:
        """Items behind the main score, of the encoder with the most."""
        return max(line.cells[0].num_items for line in self.lines if line.cells[0] is not None)

    @property
    def highest(self) -> float | None:
        """The highest main score, if it is one; of other metrics, such as seconds, the lowest may be the best."""
        return max((line.main for line in self.lines if line.main is not None and self.ranked), default=None)

    @property
    def sequences(self) -> dict[str, tuple[float | None, ...]]:
        """The main score of each sequence by its name, one for each line; empty where the evaluation gives none."""
        details = [
            line.cells[0].detail.get("sequences", {}) if line.cells[0] is not None else {} for line in self.lines
        ]
        return {name: tuple(detail.get(name) for detail in details) for name in dict.fromkeys(chain(*details))}

    @property
    def failed(self) -> dict[str, str]:
        """What could not be scored, with the reason."""
        cells = [cell for line in self.lines for cell in line.cells if cell is not None]
        return {str(name): str(why) for cell in cells for name, why in cell.detail.get("failed", {}).items()}

    @property
    def protocols(self) -> tuple[str, ...]:
        """How the scores were measured: the sentences of its encoders, then those of baselines computed otherwise."""
        cells = [cell for line in self.lines for cell in line.cells if cell is not None]
        return tuple(dict.fromkeys(cell.protocol for cell in cells))


def score_tables(rows: Sequence[ReportRow]) -> list[ScoreTable]:
    """Arranges rows, in the order in which they come; of rows that repeat each other the last counts."""
    groups: dict[tuple[str, str, str], list[ReportRow]] = {}
    for row in rows:
        groups.setdefault((row.dataset, row.split, row.evaluation), []).append(row)
    tables = []
    for (dataset, split, evaluation), group in groups.items():
        metrics = tuple(dict.fromkeys(row.metric for row in group))
        cells = {(row.baseline, row.encoder, row.metric): row for row in group}
        encoders = dict.fromkeys((row.baseline, row.encoder) for row in group)
        lines = tuple(
            Line(name, baseline, tuple(cells.get((baseline, name, metric)) for metric in metrics))
            for baseline, name in sorted(encoders, key=lambda encoder: encoder[0])
        )
        tables.append(ScoreTable(dataset, split, evaluation, metrics, lines))
    return tables


def shown(value: float | None) -> str:
    """A score with three digits after the point, fewer where it is large: no less than one whole; empty for none."""
    if value is None:
        return ""
    whole = len(str(int(abs(value))))
    return f"{value:.{max(0, 3 - whole) if whole > 1 else 3}f}"


def _highest(lines: list[Line]) -> Line | None:
    scored = [line for line in lines if line.main is not None]
    return max(scored, key=lambda line: line.main or 0.0) if scored else None
