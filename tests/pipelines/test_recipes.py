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


PUBLISHED = {
    "barlow_twins": (2048, 0.2, 1.5e-6),  # arXiv:2103.03230, section 2.2
    "byol": (4096, 0.3, 1e-6),  # of 300 epochs: arXiv:2006.07733, appendix F
    "moco_v3": (4096, 0.6, 1e-6),  # of 100 epochs: the authors' code for arXiv:2104.02057
    "simclr": (4096, 0.3, 1e-6),  # arXiv:2002.05709, section 2.2
    "vicreg": (512, 0.3, 1e-6),  # of 100 epochs: the authors' code for arXiv:2105.04906
}
"""Batch size, learning rate for 256 images, weight decay."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_recipes_for_photographs_train_as_their_authors_do(name: str) -> None:
    recipe = load_recipe(ROOT / "pipelines" / "image" / "imagenet" / f"{name}.yaml")
    training = recipe.values["stages"]["pretrain"]["training"]
    batch, rate, decay = PUBLISHED[name]
    assert training["batch_size"] == batch
    assert training["optimizer"]["lr"] == pytest.approx(rate * batch / 256)
    assert training["optimizer"]["weight_decay"] == decay
