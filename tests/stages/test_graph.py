from pathlib import Path
from typing import Annotated, Any

from mmssl.config import Choice, Recipe, Spec, load_recipe
from mmssl.stages import STAGES as REAL_STAGES
from mmssl.stages.context import Input, Needs, RunContext
from mmssl.stages.graph import Stage, bound_settings, check_recipe, complete_settings, read_graph


def simclr(*, temperature: float = 0.1) -> None: ...


def decode(out: Path, context: RunContext, *, size: int = 8) -> None: ...


def train(
    out: Path,
    context: RunContext,
    *,
    clips: Annotated[Path, Input("decode")],
    objective: Annotated[Spec, Choice({"simclr": simclr}, "objective")],
    steps: int = 3,
) -> None: ...


def knn() -> None: ...


def evaluate(
    out: Path,
    context: RunContext,
    *,
    encoders: list[Annotated[str, Input("train")]],
    evaluation: Annotated[
        Spec | str, Choice({"knn": knn, "masks": knn}, "evaluation"), Needs({"knn": "clips", "masks": "manifest"})
    ]
    | None = None,
    clips: Annotated[Path, Input("decode")] | None = None,
    manifest: Annotated[Path, Input()] | None = None,
) -> None: ...


STAGES: dict[str, Stage] = {"decode": decode, "train": train, "evaluate": evaluate}


def faults_of(stages: Any, **top: Any) -> dict[str, str]:
    _, faults = read_graph(Recipe({"name": "x", "stages": stages, **top}), STAGES)
    return {".".join(map(str, fault.path)): fault.message for fault in faults}


SOUND: dict[str, Any] = {
    "decode": {"size": 4},
    "one": {"stage": "train", "clips": "$decode", "objective": "simclr"},
    "two": {"stage": "train", "clips": "$decode", "objective": {"name": "simclr", "temperature": 0.2}, "steps": 5},
    "evaluate": {"encoders": ["$one", "random:$two", "lab"]},
}


def test_references_make_inputs_and_two_stages_may_share_a_kind() -> None:
    graph, faults = read_graph(Recipe({"name": "x", "seed": 3, "stages": SOUND}), STAGES)
    assert not faults
    assert graph.seed == 3
    assert [(node.name, node.kind, node.inputs) for node in graph.nodes] == [
        ("decode", "decode", ()),
        ("one", "train", ("decode",)),
        ("two", "train", ("decode",)),
        ("evaluate", "evaluate", ("one", "two")),
    ]
    last = graph.nodes[-1]
    folders = {"one": Path("/out/one"), "two": Path("/out/two")}
    assert bound_settings(last, STAGES, folders) == {"encoders": ["/out/one", "random:/out/two", "lab"]}
    assert complete_settings(graph.nodes[1], STAGES) == {
        "clips": Path("$decode"),
        "objective": {"name": "simclr"},
        "steps": 3,
    }


def test_every_fault_is_reported_at_once() -> None:
    faults = faults_of(
        {
            "decode": {"sise": 4},
            "one": {"stage": "trian"},
            "two": {"stage": "train", "clips": "$clips", "objective": {"name": "simclr", "temperature": "hot"}},
            "evaluate": {"encoders": ["$evaluate", "$one", "$three", "$decode"]},
            "three": {"stage": "train", "clips": "$decode", "objective": "simclr", "steps": "many"},
        },
        sed=1,
    )
    assert "did you mean 'seed'" in faults.pop("sed")
    assert "did you mean 'size'" in faults.pop("stages.decode.sise")
    assert "did you mean 'train'" in faults.pop("stages.one.stage")
    assert "$clips is no stage" in faults.pop("stages.two.clips")
    assert "'hot'" in faults.pop("stages.two.objective.temperature")
    assert "the stage itself" in faults.pop("stages.evaluate.encoders.0")
    assert "further down" in faults.pop("stages.evaluate.encoders.2")
    assert "$decode is a decode stage; this setting needs a stage of kind train" in faults.pop(
        "stages.evaluate.encoders.3"
    )
    assert "'many'" in faults.pop("stages.three.steps")
    assert not faults


def test_what_an_evaluation_reads_has_to_be_given() -> None:
    faults = faults_of(
        {
            "decode": None,
            "one": {"stage": "evaluate", "encoders": ["lab"], "evaluation": {"name": "knn"}, "manifest": "a.jsonl"},
            "two": {"stage": "evaluate", "encoders": ["lab"], "evaluation": "masks", "manifest": None},
            "three": {"stage": "evaluate", "encoders": ["lab"], "evaluation": "knn", "clips": "$decode"},
        }
    )
    assert faults == {
        "stages.one.evaluation": "knn needs `clips`, which is not given; add `clips: $NAME` of a decode stage",
        "stages.two.evaluation": "masks needs `manifest`, which is not given; add `manifest: FILE`",
    }


def test_a_recipe_is_told_the_line_of_an_evaluation_without_clips(small_recipe: Path) -> None:
    recipe = load_recipe(small_recipe, ["knn.clips=null"])
    (fault,) = check_recipe(recipe, stages=REAL_STAGES)
    line = next(
        number for number, text in enumerate(small_recipe.read_text().splitlines(), 1) if text.startswith("  knn:")
    )
    assert fault.text(recipe).startswith(f"{small_recipe}:{line}: stages.knn.evaluation: knn needs `clips`")


def test_faults_of_the_recipe_as_a_whole() -> None:
    assert "must map names to stages" in faults_of([])["stages"]
    assert "must be a whole number" in faults_of(SOUND, seed=-1)["seed"]
    assert "must be a word" in faults_of(SOUND, name="a/b")["name"]
    assert "letters, digits" in faults_of({"../x": {"stage": "decode"}})["stages.../x"]
    assert "must map settings" in faults_of({"decode": 3})["stages.decode"]
    assert not faults_of({"decode": None})
