"""What the page says about each stage of a run, from the records beside its output; no stage is known by name."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mmssl.report.section import Block, Damaged, read_section

RECORD = "stage.json"


@dataclass(frozen=True)
class StageView:
    """A stage as the page shows it.

    Args:
        name: In the recipe.
        kind: Which stage it is.
        folder: Where its output lies.
        status: `ran`, `reused`, `done`, `out of date`, `interrupted` or `not run`.
        seconds: How long it took when it ran; None where it did not finish.
        finished: When, in UTC; None where unknown.
        written: The settings that the recipe itself holds, as `key = value`.
        settings: All settings, defaults too, likewise.
        title: Of its section.
        blocks: Of its section.
        record: What `stage.json` holds.
    """

    name: str
    kind: str
    folder: Path
    status: str
    seconds: float | None
    finished: datetime | None
    written: tuple[str, ...]
    settings: tuple[str, ...]
    title: str
    blocks: tuple[Block | Damaged, ...]
    record: dict[str, Any]


def stage_views(run_folder: Path, run: Mapping[str, Any]) -> list[StageView]:
    """Every stage of the recipe, in its order, and every other folder that holds a stage's record."""
    recipe = _mapping(_mapping(run.get("recipe")).get("stages"))
    found = sorted(file.parent.name for file in run_folder.glob(f"[!.]*/{RECORD}"))
    return [_view(run_folder, run, recipe, name) for name in dict.fromkeys([*map(str, recipe), *found])]


def _view(run_folder: Path, run: Mapping[str, Any], recipe: Mapping[str, Any], name: str) -> StageView:
    folder = run_folder / name
    record = read_json(folder / RECORD)
    entry = _mapping(recipe.get(name))
    title, blocks = read_section(folder)
    seconds = record.get("seconds")
    return StageView(
        name=name,
        kind=str(record.get("stage", entry.get("stage", name))),
        folder=folder,
        status=_status(run_folder, run, name, finished=bool(record)),
        seconds=float(seconds) if isinstance(seconds, int | float) else None,
        finished=_finished(folder / RECORD),
        written=tuple(_flat({key: value for key, value in entry.items() if key != "stage"})),
        settings=tuple(_flat(_mapping(record.get("settings")))),
        title=title,
        blocks=tuple(blocks),
        record=record,
    )


def _status(run_folder: Path, run: Mapping[str, Any], name: str, *, finished: bool) -> str:
    """What became of a stage; `run.json` names those that are current and, of them, those that were reused."""
    if not finished:
        return "interrupted" if (run_folder / f".{name}.partial").exists() else "not run"
    if "stages" in run and name not in run["stages"]:
        return "out of date"
    if "reused" in run:
        return "reused" if name in run["reused"] else "ran"
    return "done"


def _finished(record: Path) -> datetime | None:
    """When a stage ended: its record is the last thing it writes."""
    try:
        return datetime.fromtimestamp(record.stat().st_mtime, tz=UTC)
    except OSError:
        return None


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Nested settings as `outer.inner = value`; what a choice names stands at the choice's own key."""
    for key, value in settings.items():
        path = prefix if key == "name" and prefix else f"{prefix}.{key}".lstrip(".")
        if isinstance(value, Mapping) and value:
            yield from _flat(value, path)
        else:
            yield f"{path} = {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object, empty where there is none or it cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
