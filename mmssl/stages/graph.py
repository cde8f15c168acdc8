"""From a recipe to its stages: which there are, what they read from each other, and everything that is wrong."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from mmssl.config import Fault, KeyPath, Recipe, bind, marked, suggest
from mmssl.data.checking import check_manifest
from mmssl.data.manifest import read_manifest
from mmssl.errors import MmsslError
from mmssl.stages.context import Input, Needs

Stage = Callable[..., None]
"""`stage(out: Path, context: RunContext, *, settings...)`: its keyword-only parameters are what a recipe may set."""

PROVIDED = ("out", "context")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
REFERENCE = re.compile(r"\$([A-Za-z0-9_-]*)")
TOP = ("name", "seed", "stages")


@dataclass(frozen=True)
class Node:
    """One stage of a recipe.

    Args:
        name: Its own name, and its folder's.
        kind: Its entry in `STAGES`.
        settings: As the recipe holds them, `$name` still in place.
        inputs: Names of the earlier stages that it reads, in order of first mention.
        path: Where it stands in the recipe.
    """

    name: str
    kind: str
    settings: Mapping[str, Any]
    inputs: tuple[str, ...]
    path: KeyPath


@dataclass(frozen=True)
class Graph:
    """A recipe's stages in order, and its shared settings."""

    name: str
    seed: int
    nodes: tuple[Node, ...]


def read_graph(recipe: Recipe, stages: Mapping[str, Stage]) -> tuple[Graph, list[Fault]]:
    """Reads a recipe's stages; what is wrong comes as faults beside those stages that can be told."""
    values = recipe.values
    faults = [
        Fault((key,), f"not a setting{suggest(key, TOP)}; settings are {sorted(TOP)}")
        for key in values
        if key not in TOP
    ]
    name, seed, entries = values.get("name"), values.get("seed", 0), values.get("stages")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        faults.append(Fault(("name",), f"must be a word of letters, digits, - and _, got {name!r}"))
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        faults.append(Fault(("seed",), f"must be a whole number from 0, got {seed!r}"))
    if not isinstance(entries, dict) or not entries:
        faults.append(Fault(("stages",), f"must map names to stages, got {entries!r}"))
        entries = {}
    nodes: list[Node] = []
    for key, entry in entries.items():
        node, found = _read_node(str(key), entry, {node.name: node for node in nodes}, list(map(str, entries)), stages)
        faults += found
        nodes += [node] if node is not None else []
    return Graph(str(name), seed if isinstance(seed, int) else 0, tuple(nodes)), faults


def _read_node(
    name: str, entry: Any, above: Mapping[str, Node], names: list[str], stages: Mapping[str, Stage]
) -> tuple[Node | None, list[Fault]]:
    path: KeyPath = ("stages", name)
    if entry is None:
        entry = {}
    if not isinstance(entry, dict):
        return None, [Fault(path, f"must map settings to values, got {entry!r}")]
    settings = {str(key): value for key, value in entry.items()}
    kind = settings.pop("stage", name)
    known = f"stages are {sorted(stages)}"
    if not isinstance(kind, str) or kind not in stages:
        where = (*path, "stage") if "stage" in entry else path
        return None, [Fault(where, f"{kind!r} is no stage{suggest(str(kind), stages)}; {known}")]
    faults = [] if NAME.fullmatch(name) else [Fault(path, "a stage's name is letters, digits, - and _")]
    inputs: list[str] = []
    for below, text in _texts(settings):
        for target in REFERENCE.findall(text):
            if target in above:
                inputs.append(target)
                continue
            if target not in names[: names.index(name)]:
                faults.append(Fault((*path, *below), _unknown(name, target, above, names)))
    faults += bind(stages[kind], settings, provided=PROVIDED, path=path)[1]
    node = Node(name, kind, settings, tuple(dict.fromkeys(inputs)), path)
    for below, mark, value in inputs_of(node, stages):
        match = REFERENCE.search(value) if isinstance(value, str) else None
        source = above.get(match[1]) if match else None
        if source is not None and source.kind not in mark.stages:
            wanted = f"needs a stage of kind {' or '.join(mark.stages)}" if mark.stages else "needs a manifest file"
            faults.append(Fault((*path, *below), f"${source.name} is a {source.kind} stage; this setting {wanted}"))
    return node, faults + list(_lacking(node, stages))


def _lacking(node: Node, stages: Mapping[str, Stage]) -> Iterator[Fault]:
    """Settings that the stage leaves out although what another of its settings chooses needs them."""
    hints = get_type_hints(stages[node.kind], include_extras=True)
    for key, value in node.settings.items():
        for below, mark, spec in marked(hints.get(key, Any), value, Needs):
            name = spec.get("name") if isinstance(spec, dict) else spec
            needed = mark.settings.get(name) if isinstance(name, str) else None
            if needed is not None and node.settings.get(needed) is None:
                kinds = next((mark.stages for _, mark, _ in marked(hints[needed], "", Input)), ())
                how = f"$NAME` of a {' or '.join(kinds)} stage" if kinds else "FILE`"
                yield Fault(
                    (*node.path, key, *below), f"{name} needs `{needed}`, which is not given; add `{needed}: {how}"
                )


def _unknown(name: str, target: str, above: Mapping[str, Node], names: list[str]) -> str:
    if target == name:
        return f"${target} is the stage itself; a stage can read only stages above it"
    if target in names:
        return f"${target} stands further down; a stage can read only the stages above it: {list(above)}"
    return f"${target} is no stage of this recipe{suggest(target, above)}; the stages above are {list(above)}"


def inputs_of(node: Node, stages: Mapping[str, Stage]) -> Iterator[tuple[KeyPath, Input, Any]]:
    """The settings of a stage that its signature marks as `Input`: where, the mark, and the value as the recipe has it."""
    hints = get_type_hints(stages[node.kind], include_extras=True)
    for key, value in node.settings.items():
        for below, mark, part in marked(hints.get(key, Any), value, Input):
            yield (key, *below), mark, part


def check_recipe(recipe: Recipe, *, stages: Mapping[str, Stage], media: bool = True) -> list[Fault]:
    """Every fault of a recipe and of the manifests it names; an empty list where it can run.

    Args:
        recipe: The recipe, overrides applied.
        stages: Stages by kind.
        media: Whether to report faults within manifests (missing files, doubled ids) too, not only manifests that cannot be read.
    """
    graph, faults = read_graph(recipe, stages)
    checked: set[str] = set()
    for node in graph.nodes:
        for below, mark, value in inputs_of(node, stages):
            if not mark.stages and isinstance(value, str) and not REFERENCE.search(value) and value not in checked:
                checked.add(value)
                messages = _manifest_faults(Path(value), media=media)
                faults += [Fault((*node.path, *below), message) for message in messages]
    return faults


def _manifest_faults(path: Path, *, media: bool) -> list[str]:
    if not path.is_file():
        return [f"no manifest at {path} (looked in {Path.cwd()}); `mmssl manifest build` makes one"]
    try:
        read_manifest(path)
        faults = check_manifest(path) if media else []
    except MmsslError as error:
        return [str(error)]
    return [fault.text(path) for fault in faults]


def bound_settings(node: Node, stages: Mapping[str, Stage], folders: Mapping[str, Path]) -> dict[str, Any]:
    """A sound stage's settings as its function takes them: `$name` replaced by the folder, values converted."""
    return bind(stages[node.kind], _resolved(dict(node.settings), folders), provided=PROVIDED)[0]


def complete_settings(node: Node, stages: Mapping[str, Stage]) -> dict[str, Any]:
    """A stage's settings with the defaults of those that the recipe leaves out, as the record of its output holds them."""
    values = bind(stages[node.kind], node.settings, provided=PROVIDED)[0]
    parameters = inspect.signature(stages[node.kind]).parameters
    defaults = {key: parameter.default for key, parameter in parameters.items() if key not in PROVIDED}
    return {**defaults, **values}


def _resolved(value: Any, folders: Mapping[str, Path]) -> Any:
    if isinstance(value, str):
        return REFERENCE.sub(lambda match: str(folders[match[1]]), value)
    if isinstance(value, dict):
        return {key: _resolved(element, folders) for key, element in value.items()}
    if isinstance(value, list):
        return [_resolved(element, folders) for element in value]
    return value


def _texts(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Every string within a value, and where it stands."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, element in value.items():
            yield from _texts(element, (*path, str(key)))
    elif isinstance(value, list):
        for position, element in enumerate(value):
            yield from _texts(element, (*path, position))
