"""`stage.json`: what a stage's output was made from, by which the runner tells whether it is still current."""

import json
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic_core import to_jsonable_python

import mmssl
from mmssl.config import digest
from mmssl.data.manifest import EXTRA_PATHS, read_manifest
from mmssl.files import atomic_file
from mmssl.stages.graph import Graph, Node, Stage, complete_settings, inputs_of

FILE = "stage.json"

PACKAGES = ("av", "faiss-cpu", "faiss-gpu", "numpy", "pillow", "timm", "torch", "torchvision")
"""Those whose versions a record notes, where they are installed: results can depend on them."""


@dataclass(frozen=True)
class Record:
    """Everything that a stage's output depends on.

    Args:
        stage: Kind of stage.
        settings: As the recipe has them, defaults filled in, `$name` in place.
        inputs: Digest of what each input holds, by stage name or path.
        seed: Of the recipe.
        version: Of this package.
    """

    stage: str
    settings: dict[str, Any]
    inputs: dict[str, str]
    seed: int
    version: str

    @property
    def digest(self) -> str:
        """Names the output: equal records give equal folders."""
        return digest(vars(self))


def record_of(node: Node, stages: Mapping[str, Stage], *, seed: int, digests: Mapping[str, str]) -> Record:
    """The record that a stage's output should have now.

    Args:
        node: The stage.
        stages: Stages by kind.
        seed: Of the recipe.
        digests: Record digests of the stages above.
    """
    inputs = {f"${name}": digests[name] for name in node.inputs}
    for _, mark, value in inputs_of(node, stages):
        if isinstance(value, str) and "$" not in value:
            inputs[value] = file_digest(value) if mark.stages else manifest_digest(Path(value))
    settings = to_jsonable_python(complete_settings(node, stages))
    return Record(node.kind, settings, inputs, seed, mmssl.__version__)


def settings_digest(graph: Graph, node: Node, stages: Mapping[str, Stage]) -> str:
    """Names the part of a recipe that a stage's output follows from: its settings, those of all stages it reads, the seed."""
    by_name = {other.name: other for other in graph.nodes}
    needed, waiting = {}, [node.name]
    while waiting:
        name = waiting.pop()
        needed[name] = [by_name[name].kind, to_jsonable_python(complete_settings(by_name[name], stages))]
        waiting += [above for above in by_name[name].inputs if above not in needed]
    return digest([graph.seed, needed])


def begin_record(folder: Path, record: Record) -> float:
    """Writes the `stage.json` of a stage that begins or goes on; gives the seconds that earlier processes spent on it.

    A process that was killed counts up to the last file that it wrote.
    """
    before = read_record(folder)
    spent = 0.0
    if "began" in before:
        last = max(file.stat().st_mtime for file in folder.rglob("*"))
        spent = before["seconds_before"] + max(0.0, last - before["began"])
    _write(folder, record, {"seconds": None, "seconds_before": spent, "began": time.time()})
    return spent


def finish_record(folder: Path, record: Record, *, seconds: float) -> None:
    """Writes the `stage.json` of a finished stage.

    Args:
        folder: Of the stage.
        record: What it was made from.
        seconds: That it took, all processes that worked on it together.
    """
    _write(folder, record, {"seconds": seconds})


def _write(folder: Path, record: Record, times: Mapping[str, float | None]) -> None:
    content = {
        "digest": record.digest,
        **vars(record),
        **times,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": _installed(),
    }
    with atomic_file(folder / FILE) as partial:
        partial.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")


def _installed() -> dict[str, str]:
    """Versions of the packages that are installed, which need not be imported for it."""
    found = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def read_record(folder: Path) -> dict[str, Any]:
    """What `stage.json` holds; empty where there is none or it cannot be read."""
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def manifest_digest(path: Path) -> str:
    """Digest of a manifest's rows and of the size and time of every file they name."""
    manifest = read_manifest(path)
    facts = []
    for row in manifest.rows:
        extra = [path.parent / str(row.extra[key]) for key in EXTRA_PATHS if key in row.extra]
        facts.append([to_jsonable_python(row), *(_stat(file) for file in (manifest.resolve(row), *extra))])
    return digest(facts)


def file_digest(reference: str) -> str:
    """Digest of the output of another run's stage, or of the files that an encoder reference names."""
    for text in (reference, *reference.split(":", 1)[1:], *reference.split("@", 1)[1:]):
        path = Path(text)
        record = next((found for folder in (path, path.parent) if (found := read_record(folder))), None)
        if record is not None:
            return str(record.get("digest"))
        if path.exists():
            return digest([_stat(path)])
    return digest(reference)


def _stat(path: Path) -> list[Any]:
    """Name, size and time of a file, or of every file in a folder."""
    return [[file.name, *_size_and_time(file)] for file in _files(path)]


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(file for file in path.rglob("*") if file.is_file())
    else:
        yield path


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        return (-1, -1)
    return (stat.st_size, stat.st_mtime_ns)
