"""The runner: the stages of a recipe in order, leaving out what is current, and the report at the end."""

import json
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic_core import to_jsonable_python

import mmssl
from mmssl.config import Recipe, digest, load_recipe, suggest
from mmssl.errors import ConfigError, MmsslError, StageError
from mmssl.files import atomic_file
from mmssl.report.page import write_report
from mmssl.stages import STAGES
from mmssl.stages.context import RunContext
from mmssl.stages.folder import partial_folder, publish, remove, run_lock
from mmssl.stages.graph import Graph, Node, Stage, bound_settings, check_recipe, read_graph
from mmssl.stages.record import FILE, Record, begin_record, finish_record, read_record, record_of, settings_digest
from mmssl.training.torchrun import Crew

RUNS = Path("runs")
RUN_FILE = "run.json"


def run_recipe(
    recipe_path: Path,
    overrides: Collection[str] = (),
    *,
    out: Path | None = None,
    until: str | None = None,
    workers: int = 2,
    processes: int = 1,
    crew: Crew | None = None,
    stages: Mapping[str, Stage] = STAGES,
) -> Path:
    """Runs a recipe's stages, skipping those whose output is current, and writes the report.

    Args:
        recipe_path: The YAML file.
        overrides: `stage.key=value` each.
        out: The run's folder; `runs/` and the recipe's name where None.
        until: Name of the last stage to run.
        workers: Processes that stages may use; nothing but the time depends on it.
        processes: That train together; nothing but the time and the rounding depends on it.
        crew: Where torchrun started several processes: those that train together, in place of `processes`.
        stages: Stages by kind.

    Returns:
        Path of the report.

    Raises:
        ConfigError: If anything is wrong with the recipe; the message holds every fault, one a line.
        StageError: If a stage cannot do its work, or another run holds the folder.
    """
    recipe = load_recipe(recipe_path, overrides)
    command = ["mmssl", "run", str(recipe_path), *overrides]
    return run(
        recipe,
        out=out,
        until=until,
        workers=workers,
        processes=processes,
        crew=crew,
        stages=stages,
        command=command,
    )


def run(
    recipe: Recipe,
    *,
    out: Path | None = None,
    until: str | None = None,
    workers: int = 2,
    processes: int = 1,
    crew: Crew | None = None,
    stages: Mapping[str, Stage] = STAGES,
    command: Sequence[str] = (),
) -> Path:
    """Runs a recipe that is in memory; see `run_recipe`.

    Args:
        recipe: The recipe, overrides applied.
        out: See `run_recipe`, like all that follow up to `stages`.
        until: Last stage to run.
        workers: Processes that stages may use.
        processes: That train together.
        crew: Those that torchrun started.
        stages: Stages by kind.
        command: What the report says one has to type to repeat the run.

    Returns:
        Path of the report.

    Raises:
        ConfigError: If anything is wrong with the recipe, or both `processes` and a crew are given.
        StageError: If a stage cannot do its work, or another run holds the folder.
    """
    if crew is not None and processes != 1:
        raise ConfigError(f"torchrun has started {crew.size} processes that train together; leave --processes out")
    faults = check_recipe(recipe, stages=stages, media=False)
    if faults:
        raise ConfigError("\n".join(fault.text(recipe) for fault in faults))
    graph, _ = read_graph(recipe, stages)
    names = [node.name for node in graph.nodes]
    if until is not None and until not in names:
        raise ConfigError(f"--until {until}: no such stage{suggest(until, names)}; stages are {names}")
    out = (RUNS / graph.name if out is None else out).resolve()
    with run_lock(out):
        wanted = graph.nodes[: names.index(until) + 1] if until is not None else graph.nodes
        current: dict[str, str] = {}
        reused: list[str] = []
        _write_run(out, recipe, graph, current, reused, command)
        for node in graph.nodes:
            if not all(name in current for name in node.inputs):
                continue
            record = record_of(node, stages, seed=graph.seed, digests=current)
            if node not in wanted and read_record(out / node.name).get("digest") != record.digest:
                continue
            context = _context(graph, node, out, workers=workers, processes=processes, crew=crew, stages=stages)
            if not _run_stage(node, record, context, out, recipe, stages):
                reused.append(node.name)
            current[node.name] = record.digest
            _write_run(out, recipe, graph, current, reused, command)
        return write_report(out)


def _context(
    graph: Graph,
    node: Node,
    out: Path,
    *,
    workers: int,
    processes: int,
    crew: Crew | None,
    stages: Mapping[str, Stage],
) -> RunContext:
    above = [other.name for other in graph.nodes[: graph.nodes.index(node)]]
    return RunContext(
        run=graph.name,
        stage=node.name,
        seed=graph.seed,
        workers=workers,
        recipe_digest=settings_digest(graph, node, stages),
        folders={name: out / name for name in above},
        processes=processes if crew is None else crew.size,
        crew=crew,
    )


def _run_stage(
    node: Node, record: Record, context: RunContext, out: Path, recipe: Recipe, stages: Mapping[str, Stage]
) -> bool:
    """Brings one stage up to date; False where its output was already."""
    final, partial = out / node.name, partial_folder(out, node.name)
    before = read_record(final)
    if before.get("digest") == record.digest:
        remove(partial)
        _say(node, f"current ({before['seconds']:.1f} s when it ran)")
        return False
    begun = read_record(partial)
    if begun.get("digest") != record.digest:
        begun = {}
        remove(partial)
        partial.mkdir()
    if begun.get("seconds") is None:
        _say(node, "going on" if begun else "running")
        seconds_before, began = begin_record(partial, record), time.monotonic()
        try:
            stages[node.kind](partial, context, **bound_settings(node, stages, context.folders))
        except MmsslError as error:
            place = recipe.place(node.path)
            raise StageError(f"stage {node.name}{f' ({place})' if place else ''}: {error}") from error
        finally:
            (partial / FILE).touch()
        finish_record(partial, record, seconds=seconds_before + time.monotonic() - began)
    publish(partial, final)
    _say(node, f"done in {read_record(final)['seconds']:.1f} s")
    return True


def _write_run(
    out: Path,
    recipe: Recipe,
    graph: Graph,
    current: Mapping[str, str],
    reused: Sequence[str],
    command: Sequence[str],
) -> None:
    """`run.json`, for the report: `stages` are those whose output is current, in order, `reused` those that did not run."""
    content: dict[str, Any] = {
        "name": graph.name,
        "recipe": to_jsonable_python(recipe.values),
        "recipe_digest": digest(recipe.values),
        "command": list(command),
        "seed": graph.seed,
        "version": mmssl.__version__,
        "stages": list(current),
        "reused": list(reused),
    }
    with atomic_file(out / RUN_FILE) as partial:
        partial.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")


def read_run(out: Path) -> dict[str, Any]:
    """What `run.json` holds: name, recipe, seed, and the stages whose output is current.

    Raises:
        StageError: If the folder holds no run.
    """
    try:
        content = json.loads((out / RUN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StageError(f"{out}: holds no run ({RUN_FILE} cannot be read); give the folder of one") from error
    return dict(content)


def _say(node: Node, state: str) -> None:
    print(f"{node.name}: {state}", file=sys.stderr, flush=True)
