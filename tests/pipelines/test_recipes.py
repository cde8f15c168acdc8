from pathlib import Path
from typing import Any

import pytest

from mmssl.config import load_recipe
from mmssl.data.manifest import ManifestRow, write_manifest
from mmssl.stages import STAGES
from mmssl.stages.graph import check_recipe

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "pipelines").rglob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: str(path.relative_to(ROOT)))
def test_recipe_has_no_fault(path: Path, tmp_path: Path) -> None:
    """Whatever manifests a recipe names are stood in for by one that is there."""
    manifest = tmp_path / "manifest.jsonl"
    (tmp_path / "a.mp4").touch()
    write_manifest(manifest, [ManifestRow(id="a", uri="a.mp4", media_type="video")])

    def stood_in(value: Any) -> Any:
        return [str(manifest)] * len(value) if isinstance(value, list) else str(manifest)

    recipe = load_recipe(path)
    for entry in recipe.values["stages"].values():
        if "manifest" in entry:
            entry["manifest"] = stood_in(entry["manifest"])
    assert [fault.text(recipe) for fault in check_recipe(recipe, stages=STAGES)] == []


def test_there_are_recipes() -> None:
    names = {str(path.relative_to(ROOT / "pipelines")) for path in RECIPES}
    assert {"demo.yaml", "video/colorization.yaml", "image/imagenet/simclr.yaml", "image/cifar/simclr.yaml"} <= names
