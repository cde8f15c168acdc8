"""The report: one HTML file that holds everything it shows."""

import json
from pathlib import Path
from typing import Any

import jinja2

from mmssl.errors import StageError
from mmssl.report.section import read_section

REPORT = "report.html"
RUN = "run.json"
STAGE = "stage.json"


def write_report(run_folder: Path) -> Path:
    """Renders a run's stages into `report.html`, which needs no other file and no network.

    Args:
        run_folder: Holds `run.json` and a folder for each stage with its `stage.json` and `section.json`.

    Returns:
        Path of the page.

    Raises:
        StageError: If the folder is not there.
    """
    if not run_folder.is_dir():
        raise StageError(f"{run_folder}: is no run folder; give the folder that `mmssl run` wrote")
    run = _read_json(run_folder / RUN)
    stages = [
        (folder.name, _read_json(folder / STAGE), *read_section(folder)) for folder in _stage_folders(run_folder, run)
    ]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    text = environment.get_template("page.html.j2").render(
        name=run.get("name", run_folder.name), run=run, stages=stages
    )
    page = run_folder / REPORT
    partial = page.with_name(f".{REPORT}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(page)
    return page


def _stage_folders(run_folder: Path, run: dict[str, Any]) -> list[Path]:
    """Folders of stages: those that the run names in its order, then any other."""
    named = [run_folder / str(name) for name in run.get("stages", [])]
    found = sorted(file.parent for file in run_folder.glob(f"[!.]*/{STAGE}"))
    return [*(folder for folder in named if folder in found), *(folder for folder in found if folder not in named)]


def _read_json(path: Path) -> dict[str, Any]:
    """A JSON object, empty where there is none or it cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
