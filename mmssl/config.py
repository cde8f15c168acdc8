"""Recipes: YAML whose keys are the constructor's own arguments, checked against its signature, all faults at once."""

import hashlib
import inspect
import json
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ConfigDict, PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError

from mmssl.errors import ConfigError, MmsslError

Spec = dict[str, Any]
"""`{"name": an entry of a registry, setting: value, ...}`."""

KeyPath = tuple[str | int, ...]
"""Where a value stands in a recipe: keys and list positions from the top."""

Mark = TypeVar("Mark")


@dataclass(frozen=True, eq=False)
class Choice:
    """Marks a parameter as an entry of a registry: `objective: Annotated[Spec, Choice(OBJECTIVES, "objective")]`.

    Args:
        registry: Name to constructor.
        noun: What an entry is called in messages.
        provided: Parameters of the constructors that the caller passes and a recipe must not.
    """

    registry: Mapping[str, Callable[..., Any]]
    noun: str
    provided: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a recipe."""

    path: KeyPath
    message: str

    def text(self, recipe: "Recipe | None" = None) -> str:
        """The fault as one line, with the recipe's file and line where they are known."""
        where = ".".join(map(str, self.path))
        place = recipe.place(self.path) if recipe is not None else ""
        return ": ".join(part for part in (place, where, self.message) if part)


@dataclass
class Recipe:
    """A recipe's values and where each was written.

    Args:
        values: The YAML's content, overrides applied.
        source: The file, or None for values made in Python.
        lines: Line, from 1, of each key path; keys set on the command line have none.
    """

    values: dict[str, Any]
    source: Path | None = None
    lines: dict[KeyPath, int] = field(default_factory=dict)

    def place(self, path: KeyPath) -> str:
        """`file:line` of the nearest enclosing key that has a line, or an empty string."""
        if self.source is None:
            return ""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return f"{self.source}:{self.lines[path[:length]]}"
        return str(self.source)


def load_recipe(path: Path, overrides: Collection[str] = ()) -> Recipe:
    """Reads a YAML recipe and applies `a.b.c=value` overrides; values are read as YAML.

    Raises:
        ConfigError: If the file is missing, is not YAML with a mapping at the top, repeats a key, or an override is malformed.
    """
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{path}: expected a mapping at the top, such as `stages:`")
    lines: dict[KeyPath, int] = {}
    repeated = [f"{path}:{line}: the key {key!r} stands twice" for key, line in _note_lines(node, (), lines)]
    if repeated:
        raise ConfigError("\n".join(repeated))
    recipe = Recipe(yaml.safe_load(text), path, lines)
    for override in overrides:
        _override(recipe, override)
    return recipe


def _note_lines(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int]) -> Iterator[tuple[str, int]]:
    """Fills `lines` below a node; yields repeated keys, which YAML would silently let win."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = (*path, str(key.value))
            line = key.start_mark.line + 1
            if below in lines:
                yield str(key.value), line
            lines[below] = line
            yield from _note_lines(value, below, lines)
    elif isinstance(node, yaml.SequenceNode):
        for position, value in enumerate(node.value):
            lines[(*path, position)] = value.start_mark.line + 1
            yield from _note_lines(value, (*path, position), lines)


def _override(recipe: Recipe, override: str) -> None:
    """Sets one `a.b.c=value` in a recipe."""
    dotted, sign, text = override.partition("=")
    keys = dotted.split(".")
    if not sign or not all(keys):
        raise ConfigError(f"override {override!r}: expected stage.key=value")
    target: Any = recipe.values.get("stages") or {}
    path: KeyPath = ("stages",)
    if len(keys) == 1:
        target, path = recipe.values, ()
    elif keys[0] not in target:
        raise ConfigError(
            f"override {override!r}: no stage {keys[0]!r}{suggest(keys[0], target)}; stages are {list(target)}"
        )
    for key in keys[:-1]:
        step = int(key) if isinstance(target, list) and key.isdigit() else key
        if isinstance(target, dict) and not isinstance(target.get(step), dict | list):
            shorthand = target.get(step)
            target[step] = {} if shorthand is None else {"name": shorthand}
        try:
            target = target[step]
        except (IndexError, KeyError, TypeError) as error:
            raise ConfigError(f"override {override!r}: there is no {key!r} to set a value in") from error
        path = (*path, step)
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"override {override!r}: the value is not YAML") from error
    last: str | int = int(keys[-1]) if isinstance(target, list) and keys[-1].isdigit() else keys[-1]
    try:
        target[last] = value
    except (IndexError, TypeError) as error:
        raise ConfigError(f"override {override!r}: there is no {keys[-1]!r} to set") from error
    for known in [known for known in recipe.lines if known[: len(path) + 1] == (*path, last)]:
        del recipe.lines[known]


def normalized(spec: Spec | str) -> Spec:
    """`simclr` and `{name: simclr}` mean the same; this gives the second."""
    return {"name": spec} if isinstance(spec, str) else dict(spec)


def check(spec: Any, choice: Choice, *, path: KeyPath = ()) -> list[Fault]:
    """Every fault of a spec, nested specs included; an empty list where it can be built."""
    if not isinstance(spec, str | dict):
        return [Fault(path, f"expected a name or {{name: ..., settings}}, got {spec!r}")]
    settings = normalized(spec)
    name = settings.pop("name", None)
    if name is None:
        return [Fault(path, f"has no name; {choice.noun}s are {sorted(choice.registry)}")]
    if name not in choice.registry:
        known = f"{choice.noun}s are {sorted(choice.registry)}"
        message = f"{name!r} is no {choice.noun}{suggest(str(name), choice.registry)}; {known}"
        return [Fault(path, message)]
    return bind(choice.registry[name], settings, provided=choice.provided, path=path)[1]


def build(spec: Spec | str, choice: Choice, **provided: Any) -> Any:
    """Builds what a spec names, with `provided` for the parameters that no recipe holds.

    Raises:
        ConfigError: If anything is wrong with the spec, or the constructor refuses a value with a ValueError; the message
            holds every fault, one a line.
    """
    faults = check(spec, choice)
    if faults:
        raise ConfigError("\n".join(fault.text() for fault in faults))
    settings = normalized(spec)
    constructor = choice.registry[settings.pop("name")]
    values, _ = bind(constructor, settings, provided=choice.provided)
    wanted = inspect.signature(constructor).parameters
    try:
        return constructor(**values, **{key: value for key, value in provided.items() if key in wanted})
    except ValueError as error:
        raise ConfigError(f"{choice.noun} {normalized(spec)['name']}: {error}") from error


def bind(
    function: Callable[..., Any], settings: Mapping[str, Any], *, provided: Collection[str] = (), path: KeyPath = ()
) -> tuple[dict[str, Any], list[Fault]]:
    """Fits settings to a function's signature: the converted values, and everything that is wrong.

    A parameter that is a dataclass takes a mapping of that dataclass's own settings.
    """
    parameters = {
        name: parameter
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in provided and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    }
    hints = typing.get_type_hints(function.__init__ if inspect.isclass(function) else function, include_extras=True)
    values: dict[str, Any] = {}
    faults: list[Fault] = []
    for name, value in settings.items():
        if name not in parameters:
            message = f"not a setting{suggest(name, parameters)}; settings are {sorted(parameters)}"
            faults.append(Fault((*path, name), message))
            continue
        hint = hints.get(name, Any)
        kind = _dataclass_of(hint)
        if kind is not None and isinstance(value, dict):
            values[name], nested = _made(kind, value, path=(*path, name))
            faults += nested
            continue
        nested = [
            fault
            for below, choice, spec in marked(hint, value, Choice)
            for fault in check(spec, choice, path=(*path, name, *below))
        ]
        faults += nested
        if not nested:
            try:
                values[name] = _converted(hint, _normalized_choices(hint, value))
            except ValidationError as error:
                faults += [Fault((*path, name, *_visible(item["loc"])), _describe(item)) for item in error.errors()]
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in settings:
            faults.append(Fault((*path, name), "is missing and has no default"))
    return values, faults


def _dataclass_of(hint: Any) -> Any:
    """The dataclass that an annotation asks for, be it as an alternative to None; None where it asks for something else."""
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    kinds = [kind for kind in typing.get_args(hint) if kind is not types.NoneType] if union else [hint]
    return kinds[0] if len(kinds) == 1 and is_dataclass(kinds[0]) else None


def _made(kind: Any, settings: Mapping[str, Any], *, path: KeyPath) -> tuple[Any, list[Fault]]:
    """A dataclass from its settings, and everything that is wrong; None where something is."""
    values, faults = bind(kind, settings, path=path)
    if faults:
        return None, faults
    try:
        return kind(**values), []
    except (ValueError, MmsslError) as error:
        return None, [Fault(path, str(error))]


def _converted(hint: Any, value: Any) -> Any:
    """The value as its annotation wants it; an annotation that pydantic does not know takes any value."""
    try:
        adapter = TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticSchemaGenerationError:
        return value
    except PydanticUserError as error:
        if error.code != "type-adapter-config-unused":
            raise
        adapter = TypeAdapter(hint)
    return adapter.validate_python(value)


def _describe(item: Any) -> str:
    return f"{item['msg']}, got {item['input']!r}"


def _visible(location: tuple[int | str, ...]) -> KeyPath:
    """The part of a pydantic error's location that a reader of the recipe knows: not the names of union members."""
    return tuple(step for step in location if isinstance(step, int))


def marked(hint: Any, value: Any, kind: type[Mark]) -> Iterator[tuple[KeyPath, Mark, Any]]:
    """The parts of a value whose annotation carries a mark of some kind: itself, or elements of its lists and dicts.

    Args:
        hint: Annotation of the value, such as `list[Annotated[Spec, Choice(...)]] | None`.
        value: What a recipe holds for it.
        kind: Class of the marks, such as `Choice`.

    Yields:
        Where the part stands within the value, its mark, and the part.
    """
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        mark = next((mark for mark in args[1:] if isinstance(mark, kind)), None)
        if mark is not None:
            yield (), mark, value
        else:
            yield from marked(args[0], value, kind)
    elif origin in (typing.Union, types.UnionType):
        options = [option for option in args if _could_hold(option, value)]
        for option in options[:1]:
            yield from marked(option, value, kind)
    elif origin is list and isinstance(value, list):
        for position, element in enumerate(value):
            for below, mark, part in marked(args[0], element, kind):
                yield (position, *below), mark, part
    elif origin is dict and isinstance(value, dict):
        for key, element in value.items():
            for below, mark, part in marked(args[1], element, kind):
                yield (key, *below), mark, part


def _could_hold(option: Any, value: Any) -> bool:
    """Whether a member of a union is the one that a value is meant for, as far as its outer type tells."""
    if option is type(None) or value is None:
        return option is type(None) and value is None
    bare = typing.get_args(option)[0] if typing.get_origin(option) is typing.Annotated else option
    return (typing.get_origin(bare) is list) == isinstance(value, list)


def _normalized_choices(hint: Any, value: Any) -> Any:
    """The value with every spec in its long form."""
    places = [below for below, _, _ in marked(hint, value, Choice)]
    if places == [()]:
        return normalized(value)
    if not places:
        return value
    copy: Any = list(value) if isinstance(value, list) else dict(value)
    for place in places:
        copy[place[0]] = normalized(value[place[0]])
    return copy


def suggest(name: str, known: Collection[str]) -> str:
    """` (did you mean 'x'?)` for the known name that comes closest, or an empty string."""
    close = get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def digest(value: Any) -> str:
    """SHA-256 of a JSON-like value, 16 hexadecimal digits; the order of keys does not matter, paths count as text."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
