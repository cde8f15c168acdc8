"""Features of locked towers that are kept: the same training as without, and nothing computed twice."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from mmssl.config import build
from mmssl.errors import TrainingError
from mmssl.models import ENCODER_CHOICE
from mmssl.models.encoder import Encoder
from mmssl.models.towers import ImageTextTowers
from mmssl.objectives import OBJECTIVE_CHOICE
from mmssl.training import frozen
from mmssl.training.loop import train
from mmssl.training.settings import TrainSettings
from mmssl.views.pretext import CropView
from mmssl.views.text import TextView, WordsView
from tests.models.published_bert import TOWER, write_bert
from tests.training.test_captions import Captioned

ENCODER: dict[str, Any] = {
    "name": "image_text",
    "image": {"name": "small_resnet", "width": 4},
    "text": {"name": "transformer", "dim": 8, "depth": 1, "num_heads": 2, "context": 6},
    "projection_dim": 8,
    "size": 8,
}
CLIPS = Captioned([f"a dog {number % 4}\nanother one {number}" for number in range(20)])


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(frozen, "ITEMS_A_UNIT", 8)
    return tmp_path / "cache" / "mmssl" / "frozen_features"


def trained(
    out: Path, *, lock: Sequence[str] = ("image", "text"), frozen_views: int = 1, text_view: TextView | None = None
) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return trained_with(build(ENCODER, ENCODER_CHOICE), {"lock": list(lock)}, out, frozen_views, text_view)


def trained_with(
    encoder: Encoder,
    locks: dict[str, Any],
    out: Path,
    frozen_views: int,
    text_view: TextView | None = None,
    optimizer: str = "adamw",
) -> dict[str, Tensor]:
    objective = build({"name": "clip", **locks}, OBJECTIVE_CHOICE, encoder=encoder)
    settings = TrainSettings(
        batch_size=10,
        epochs=2,
        watch_every=0,
        log_every=1,
        frozen_views=frozen_views,
        optimizer={"name": optimizer, "lr": 1e-3},
    )
    train(
        objective,
        CropView(size=8, scale=(1.0, 1.0), ratio=(1.0, 1.0), flip_probability=0.0),
        CLIPS,
        out=out,
        settings=settings,
        seed=0,
        encoder_spec=ENCODER,
        text_view=text_view,
    )
    return {name: value for name, value in encoder.state_dict().items() if value.is_floating_point()}


def test_kept_features_train_as_the_towers_do(tmp_path: Path) -> None:
    kept, whole = trained(tmp_path / "kept"), trained(tmp_path / "whole", frozen_views=0)
    for name, value in whole.items():
        assert_close(kept[name], value, atol=1e-6, rtol=1e-5)
    first = json.loads((tmp_path / "kept" / "metrics.jsonl").read_text().splitlines()[0])
    assert first["gradient_norm"] > 0


def test_units_are_computed_once(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []
    computed = frozen.Keeper._computed

    def counting(keeper: frozen.Keeper, inputs: Any, positions: range) -> Tensor:
        counted.append(len(positions))
        return computed(keeper, inputs, positions)

    monkeypatch.setattr(frozen.Keeper, "_computed", counting)
    first = trained(tmp_path / "first")
    assert counted == [8, 8, 8, 8, 8, 4]
    counted.clear()
    sorted(cache.iterdir())[0].write_bytes(b"damaged")
    again = trained(tmp_path / "again")
    assert len(counted) == 1
    assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.fixture
def staged(tmp_path: Path) -> Callable[[], Encoder]:
    write_bert(tmp_path / "published")
    image = {"name": "timm", "model": "test_resnet"}

    def fresh() -> Encoder:
        torch.manual_seed(0)
        encoder = build({**ENCODER, "image": image, "text": {**TOWER, "dropout": 0.0}}, ENCODER_CHOICE)
        assert isinstance(encoder, ImageTextTowers)
        encoder.text.read(tmp_path / "published")
        return encoder

    return fresh


def test_the_rest_of_towers_learns_from_kept_states_as_from_pictures_and_words(
    staged: Callable[[], Encoder], tmp_path: Path, cache: Path
) -> None:
    start = {name: value.clone() for name, value in staged().state_dict().items() if value.is_floating_point()}
    locks = {"lock_stages": {"image": 4, "text": 2}}
    kept = trained_with(staged(), locks, tmp_path / "kept", 1, optimizer="sgd")
    assert len(list(cache.iterdir())) == 6, "units of clips and of captions"
    whole = trained_with(staged(), locks, tmp_path / "whole", 0, optimizer="sgd")
    for name, value in whole.items():
        assert_close(kept[name], value, atol=1e-6, rtol=1e-5, msg=name)
    moved = {name for name, value in kept.items() if not torch.equal(value, start[name])}
    assert "image.model.layer4.0.conv1.weight" in moved
    assert "text.blocks.1.linear1.weight" in moved
    assert not any(
        name.startswith(("image.model.layer3", "image.model.conv1", "text.words", "text.positions", "text.blocks.0"))
        or "running" in name
        for name in moved
    )


def test_a_text_view_changes_what_is_trained(tmp_path: Path) -> None:
    plain = trained(tmp_path / "plain")
    dropped = trained(tmp_path / "dropped", text_view=WordsView(word_dropout=0.5))
    assert any(not torch.equal(plain[name], value) for name, value in dropped.items())


def test_views_to_keep_need_a_locked_image_tower(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="none is locked"):
        trained(tmp_path / "out", lock=["text"])
