"""The report: one HTML file that holds everything it shows."""

import itertools
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import yaml
from markupsafe import Markup

from mmssl.errors import StageError
from mmssl.files import atomic_file
from mmssl.report.assets import Assets
from mmssl.report.plots import line_plot_svg
from mmssl.report.scores import ScoreTable, score_tables, shown
from mmssl.report.section import Block, Damaged, LinePlot, Rejects, Scores, Table
from mmssl.report.stages import StageView, read_json, stage_views

REPORT = "report.html"
RUN = "run.json"
MAX_REJECTS = 200
TEMPLATES = Path(__file__).parent


def write_report(run_folder: Path) -> Path:
    """Renders a run's stages into `report.html`, which needs no other file and no network.

    What is missing or damaged becomes a note in the page.

    Args:
        run_folder: Holds `run.json` and a folder for each stage with its `stage.json` and `section.json`.

    Returns:
        Path of the page.

    Raises:
        StageError: If the folder is not there.
    """
    if not run_folder.is_dir():
        raise StageError(f"{run_folder}: is no run folder; give the folder that `mmssl run` wrote")
    run = read_json(run_folder / RUN)
    stages = stage_views(run_folder, run)
    blocks = [block for stage in stages for block in stage.blocks]
    plot_numbers = itertools.count()

    def draw(plot: LinePlot) -> Markup:
        return Markup(line_plot_svg(plot, name=f"plot{next(plot_numbers)}"))

    page = environment().get_template("page.html.j2")
    text = page.render(
        name=run.get("name", run_folder.name),
        run=run,
        stages=stages,
        seconds=sum((stage.seconds or 0.0 for stage in stages), 0.0),
        slowest=max((stage.seconds or 0.0 for stage in stages), default=0.0),
        headlines=[table for table in _score_tables(blocks) if table.ranked],
        num_rejects=sum(len(block.rejects) for block in blocks if isinstance(block, Rejects)),
        embed=Assets(run_folder).embed,
        draw=draw,
        command=shlex.join(map(str, run.get("command", []))),
        versions=_versions(run, stages),
        recipe=yaml.safe_dump(run["recipe"], sort_keys=False, allow_unicode=True) if run.get("recipe") else "",
    )
    with atomic_file(run_folder / REPORT) as partial:
        partial.write_text(text.lstrip(), encoding="utf-8")
    return run_folder / REPORT


def _score_tables(blocks: Sequence[Block | Damaged]) -> list[ScoreTable]:
    """The scores of all stages."""
    return score_tables([row for block in blocks if isinstance(block, Scores) for row in block.rows])


def _versions(run: Mapping[str, Any], stages: Sequence[StageView]) -> dict[str, str]:
    """What the stages ran with; several values of one fact stand side by side."""
    found: dict[str, dict[str, None]] = {}
    for stage in stages:
        record = stage.record
        packages = record.get("packages")
        facts = {"mmssl": record.get("version"), "python": record.get("python"), "platform": record.get("platform")}
        for name, value in (facts | (packages if isinstance(packages, dict) else {})).items():
            if value:
                found.setdefault(str(name), {})[str(value)] = None
    digest = {"recipe digest": str(run["recipe_digest"])} if "recipe_digest" in run else {}
    return digest | {name: ", ".join(values) for name, values in found.items()}


def environment() -> jinja2.Environment:
    """Where the templates are found, with the filters that they use."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    filters = (anchor, cell, duration, grouped, numeric_columns, shown)
    environment.filters |= {function.__name__: function for function in filters}
    environment.globals |= {"score_tables_of": score_tables, "max_rejects": MAX_REJECTS}
    return environment


def grouped(blocks: tuple[Block | Damaged, ...]) -> list[tuple[str, list[Block | Damaged]]]:
    """Neighboring blocks of one kind together, so that plots and videos can stand side by side."""
    return [(kind, list(group)) for kind, group in itertools.groupby(blocks, key=lambda block: block.kind)]


def numeric_columns(table: Table) -> list[bool]:
    """Which columns hold numbers alone, besides empty cells."""
    columns = zip(*table.rows, strict=True) if table.rows else [()] * len(table.columns)
    return [all(type(value) in (int, float) for value in column if value is not None) for column in columns]


def duration(seconds: float) -> str:
    """`0.42 s`, `12 s`, `3 min 05 s`, `1 h 02 min`."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def cell(value: Any) -> str:
    """A table's cell: four significant digits for a float, thousands set apart, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", " ")
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def anchor(name: str) -> str:
    """A name as part of an element's id."""
    return "stage-" + re.sub(r"[^a-zA-Z0-9_-]", "_", name)
