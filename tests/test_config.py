from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

from mmssl.config import Choice, Fault, Recipe, Spec, bind, build, check, digest, load_recipe, marked
from mmssl.errors import ConfigError


class Head:
    def __init__(self, dim: int = 8, *, scale: float = 1.0) -> None:
        self.dim, self.scale = dim, scale


HEADS = Choice({"head": Head}, "head")


class Network:
    def __init__(self, encoder: object, *, temperature: float, head: Annotated[Spec, HEADS] | None = None) -> None:
        if temperature <= 0:
            raise ValueError(f"temperature must be positive, got {temperature}")
        self.encoder, self.temperature, self.head = encoder, temperature, head


NETWORKS = Choice({"network": Network, "head": Head}, "network", provided=("encoder",))


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


def test_build_converts_values_and_passes_what_is_provided() -> None:
    network = build({"name": "network", "temperature": "0.5", "head": "head"}, NETWORKS, encoder="E")
    assert (network.encoder, network.temperature, network.head) == ("E", 0.5, {"name": "head"})


def test_build_takes_a_bare_name_and_leaves_out_what_a_constructor_does_not_take() -> None:
    assert build("head", NETWORKS, encoder="E").dim == 8


def test_check_reports_every_fault_at_once() -> None:
    spec = {"name": "network", "temprature": 1, "head": {"name": "head", "dim": "wide", "skale": 2}}
    faults = {fault.path: fault.message for fault in check(spec, NETWORKS, path=("stages", "a"))}
    assert set(faults) == {
        ("stages", "a", "temprature"),
        ("stages", "a", "temperature"),
        ("stages", "a", "head", "dim"),
        ("stages", "a", "head", "skale"),
    }
    assert "did you mean 'temperature'" in faults["stages", "a", "temprature"]
    assert "missing" in faults["stages", "a", "temperature"]
    assert "'wide'" in faults["stages", "a", "head", "dim"]
    assert "did you mean 'scale'" in faults["stages", "a", "head", "skale"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [("hed", "did you mean 'head'"), ({}, "has no name"), (3, "expected a name"), (None, "got None")],
)
def test_check_names_what_there_is(spec: Any, message: str) -> None:
    (fault,) = check(spec, HEADS)
    assert message in fault.message


def test_what_a_constructor_refuses_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="network network: temperature must be positive, got -1"):
        build({"name": "network", "temperature": -1}, NETWORKS, encoder=None)


def test_bind_uses_constraints_and_element_positions() -> None:
    def function(*, sizes: list[int], share: Annotated[float, Field(ge=0, le=1)] = 0.5) -> None: ...

    values, faults = bind(function, {"sizes": [1, "x", "3"], "share": 2})
    assert [fault.path for fault in faults] == [("sizes", 1), ("share",)]
    assert not values
    assert bind(function, {"sizes": ["1", 2]}) == ({"sizes": [1, 2]}, [])


@dataclass(frozen=True, kw_only=True)
class Pace:
    steps: int
    head: Annotated[Spec, HEADS] = field(default_factory=lambda: {"name": "head"})

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ConfigError(f"steps must be at least 1, got {self.steps}")


def test_bind_makes_dataclasses_and_looks_into_them() -> None:
    def function(*, pace: Pace) -> None: ...

    assert bind(function, {"pace": {"steps": "3", "head": "head"}}) == ({"pace": Pace(steps=3)}, [])
    _, faults = bind(function, {"pace": {"stps": 3, "head": "hed"}})
    assert [fault.path for fault in faults] == [("pace", "stps"), ("pace", "head"), ("pace", "steps")]
    _, faults = bind(function, {"pace": {"steps": 0}})
    assert faults == [Fault(("pace",), "steps must be at least 1, got 0")]
    _, faults = bind(function, {"pace": 3})
    assert [fault.path for fault in faults] == [("pace",)]


def test_marked_finds_marks_inside_unions_lists_and_dicts() -> None:
    one = Annotated[Spec, HEADS]
    assert [place for place, _, _ in marked(one | list[one], {"name": "head"}, Choice)] == [()]
    assert [place for place, _, _ in marked(one | list[one], ["head", "head"], Choice)] == [(0,), (1,)]
    assert [place for place, _, _ in marked(dict[str, one] | None, {"a": "head"}, Choice)] == [("a",)]
    assert list(marked(one | None, None, Choice)) == []
    assert [place for place, _, _ in marked(Annotated[Annotated[Spec, HEADS], "other"], "head", Choice)] == [()]


def test_recipe_knows_its_lines(tmp_path: Path) -> None:
    path = write(tmp_path, "name: x\nstages:\n  a:\n    list:\n      - 1\n      - {name: y}\n")
    recipe = load_recipe(path)
    assert recipe.values == {"name": "x", "stages": {"a": {"list": [1, {"name": "y"}]}}}
    assert recipe.place(("stages", "a", "list", 1, "name", "deeper")) == f"{path}:6"
    assert Fault(("stages", "a"), "wrong").text(recipe) == f"{path}:3: stages.a: wrong"
    assert Fault(("a",), "wrong").text(Recipe({})) == "a: wrong"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", ":2: the key 'a' stands twice"),
        ("- 1\n", "expected a mapping"),
        ("a: [\n", "is not YAML"),
        ("", "expected a mapping"),
    ],
)
def test_faulty_yaml_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_recipe(write(tmp_path, text))


def test_missing_recipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_recipe(tmp_path / "none.yaml")


def test_overrides_reach_into_stages_lists_and_shorthand(tmp_path: Path) -> None:
    path = write(tmp_path, "seed: 0\nstages:\n  a: {objective: simclr, sizes: [1, 2]}\n")
    recipe = load_recipe(path, ["a.objective.temperature=0.1", "a.sizes.1=5", "seed=3", "a.new=[x]"])
    assert recipe.values == {
        "seed": 3,
        "stages": {"a": {"objective": {"name": "simclr", "temperature": 0.1}, "sizes": [1, 5], "new": ["x"]}},
    }
    assert recipe.place(("seed",)) == str(path)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("a", "expected stage.key=value"),
        ("b.x=1", "no stage 'b'"),
        ("a.sizes.7=1", "no '7' to set"),
        ("a.sizes.7.x=1", "no '7' to set a value in"),
        ("a.x=[", "not YAML"),
    ],
)
def test_faulty_overrides_are_refused(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_recipe(write(tmp_path, "stages:\n  a: {sizes: [1]}\n"), [override])


def test_digest_ignores_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": Path("x")}) == digest({"b": "x", "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
