"""Classes as people write them down: a text file, a CSV with synonyms and parents, or the names of folders."""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float

from mmssl.errors import ConfigError

COLUMNS = ("name", "synonyms", "parent", "prompt")
_SHOWN_FAULTS = 10


@dataclass(frozen=True)
class ClassName:
    """A class.

    Args:
        name: As results name it.
        synonyms: Further names; their embeddings are averaged with the name's.
        parent: Class or group that it belongs to.
        prompts: Sentences that stand in place of the templates; a place in one is filled with each name.
    """

    name: str
    synonyms: tuple[str, ...] = ()
    parent: str | None = None
    prompts: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The name and the synonyms as a sentence holds them: with spaces for underscores."""
        return tuple(dict.fromkeys(" ".join(name.replace("_", " ").split()) for name in (self.name, *self.synonyms)))


@dataclass(frozen=True)
class ClassList:
    """All classes that something can be.

    A class that another one names as its parent is a group: it is not looked for itself, and its probability is the sum over
    the classes below it.

    Args:
        entries: In the order in which they were given.

    Raises:
        ConfigError: If there is none, a name stands twice, or parents go round in a circle.
    """

    entries: tuple[ClassName, ...]

    def __post_init__(self) -> None:
        if not self.entries:
            raise ConfigError("there is no class; give at least one name")
        twice = [name for name, count in Counter(entry.name for entry in self.entries).items() if count > 1]
        if twice:
            raise ConfigError(
                f"{len(twice)} names of classes stand more than once, such as {twice[0]!r}; give each once"
            )
        parents = {entry.name: entry.parent for entry in self.entries}
        for entry in self.entries:
            seen, above = {entry.name}, entry.parent
            while above is not None:
                if above in seen:
                    raise ConfigError(f"the parents of class {entry.name!r} go round in a circle at {above!r}")
                seen.add(above)
                above = parents.get(above)

    @cached_property
    def leaves(self) -> tuple[ClassName, ...]:
        """The classes that are looked for."""
        groups = {entry.parent for entry in self.entries}
        return tuple(entry for entry in self.entries if entry.name not in groups)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the leaves."""
        return tuple(entry.name for entry in self.leaves)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Place among the leaves of each name, synonym and name as words; what is ambiguous is left out."""
        places: dict[str, set[int]] = {}
        for number, entry in enumerate(self.leaves):
            for name in (entry.name, *entry.synonyms, *entry.words):
                places.setdefault(name, set()).add(number)
        found = {name: next(iter(numbers)) for name, numbers in places.items() if len(numbers) == 1}
        return found | {name: number for number, name in enumerate(self.names)}

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups that have no group above them; empty where no class has a parent."""
        parents = {entry.name: entry.parent for entry in self.entries}
        named = dict.fromkeys(entry.parent for entry in self.entries if entry.parent is not None)
        return tuple(name for name in named if parents.get(name) is None)

    def rolled_up(self, probabilities: Float[np.ndarray, "items leaves"]) -> Float[np.ndarray, "items groups"]:
        """Probabilities of the groups: sums over the leaves below them."""
        parents = {entry.name: entry.parent for entry in self.entries}
        sums = np.zeros((len(probabilities), len(self.groups)), probabilities.dtype)
        columns = {name: number for number, name in enumerate(self.groups)}
        for number, leaf in enumerate(self.leaves):
            top, above = leaf.name, leaf.parent
            while above is not None:
                top, above = above, parents.get(above)
            if top in columns:
                sums[:, columns[top]] += probabilities[:, number]
        return sums


def read_classes(source: Path) -> ClassList:
    """The classes that a file or a folder names.

    Args:
        source: A text file with a name a line (lines that begin with `#` are left out); a CSV or TSV with the column `name`
            and perhaps `synonyms` and `prompt` (several of them separated by `|`) and `parent`; or a folder whose folders
            are named after the classes.

    Raises:
        ConfigError: If it is none of these, is empty, or names a class twice.
    """
    if source.is_dir():
        names = sorted(entry.name for entry in source.iterdir() if entry.is_dir() and not entry.name.startswith("."))
        if not names:
            raise ConfigError(f"{source}: holds no folder; a folder of classes has one folder for each class")
        return ClassList(tuple(ClassName(name) for name in names))
    try:
        text = source.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigError(f"{source}: there is no such file of classes") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source}: cannot be read as classes: {error}") from error
    lines = text.splitlines()
    try:
        if source.suffix in (".csv", ".tsv"):
            return ClassList(_table(source, lines))
        names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        return ClassList(tuple(ClassName(name) for name in names))
    except ConfigError as error:
        raise ConfigError(
            "\n".join(line if line.startswith(str(source)) else f"{source}: {line}" for line in str(error).splitlines())
        ) from error


def _table(source: Path, lines: Sequence[str]) -> tuple[ClassName, ...]:
    reader = csv.DictReader(lines, delimiter="\t" if source.suffix == ".tsv" else ",", skipinitialspace=True)
    columns = [column.strip() for column in reader.fieldnames or ()]
    reader.fieldnames = columns
    unknown = [column for column in columns if column not in COLUMNS]
    if "name" not in columns or unknown:
        raise ConfigError(
            f"its columns are {columns}; a table of classes has name, and perhaps synonyms, parent, prompt"
        )
    entries, faults = [], []
    for cells in reader:
        name = (cells["name"] or "").strip()
        if not name or None in cells:
            faults.append(
                f"{source}:{reader.line_num}: " + ("holds more cells than columns" if name else "has no name")
            )
            continue
        entries.append(
            ClassName(
                name,
                _several(cells.get("synonyms")),
                (cells.get("parent") or "").strip() or None,
                _several(cells.get("prompt")),
            )
        )
    if faults:
        raise ConfigError("\n".join(faults[:_SHOWN_FAULTS]))
    return tuple(entries)


def _several(cell: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (cell or "").split("|") if part.strip())
