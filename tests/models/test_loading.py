import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from mmssl.config import build
from mmssl.errors import CheckpointError
from mmssl.models import ENCODER_CHOICE, timm_encoder
from mmssl.models.half_size import HalfSize
from mmssl.models.loading import SHIPPED_FOLDER, load_encoder, read_card, save_encoder
from mmssl.models.references import DEFAULT_IS, random_reference
from mmssl.models.weighted_sum import WeightedSum

SPEC = {"name": "small_resnet", "width": 4, "num_blocks": [1, 1], "feature_dim": 8, "input": "lab"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_encoder(tmp_path / "train" / "checkpoint", build(SPEC, ENCODER_CHOICE), spec=SPEC, facts={"num_steps": 7})
    return tmp_path / "train" / "checkpoint"


def test_what_is_saved_is_loaded(folder: Path) -> None:
    encoder = build(SPEC, ENCODER_CHOICE)
    card = save_encoder(folder, encoder, spec=SPEC, facts={"num_steps": 8})
    images = torch.rand(2, 3, 24, 24)
    for reference in (str(folder), str(folder.parent)):
        loaded = load_encoder(reference)
        assert loaded.card == card
        assert loaded.reference == reference
        assert loaded.digest == card.digest
        assert not loaded.encoder.training
        assert torch.equal(loaded.encoder.features(images), encoder.eval().features(images))
    assert (card.spec, card.input, card.stride, card.dim, card.feature_dim) == (SPEC, "lab", 8, 8, 8)
    assert read_card(str(folder)).facts == {"num_steps": 8}
    assert [path.name for path in folder.parent.iterdir()] == ["checkpoint"]


def test_settings_of_a_checkpoint_that_leave_its_weights_as_they_are(folder: Path) -> None:
    plain, fine = load_encoder(str(folder)), load_encoder(f"{folder}:stride=4")
    assert (fine.encoder.stride, plain.encoder.stride) == (4, 8)
    assert fine.card.spec == SPEC | {"stride": 4}
    assert fine.card.facts == {"num_steps": 7}
    assert fine.digest != plain.digest
    for (_, mine), (_, wanted) in zip(
        fine.encoder.state_dict().items(), plain.encoder.state_dict().items(), strict=True
    ):
        assert torch.equal(mine, wanted)
    assert load_encoder(f"random:{folder}:stride=4").encoder.stride == 4
    with pytest.raises(CheckpointError, match="the weights do not fit"):
        load_encoder(f"{folder}:width=8")
    with pytest.raises(CheckpointError, match="strid"):
        load_encoder(f"{folder}:strid=8")


def test_loading_draws_no_global_random_numbers(folder: Path) -> None:
    before = torch.get_rng_state()
    load_encoder(str(folder))
    load_encoder(f"random:{folder}", seed=3)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_same_encoder_is_the_same_bytes_and_digest(folder: Path) -> None:
    encoder = load_encoder(str(folder)).encoder
    again = folder.parent / "again"
    save_encoder(again, encoder, spec=SPEC, facts={"num_steps": 7})
    for name in ("encoder.safetensors", "card.json"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()


def test_digest_follows_weights_and_spec(folder: Path) -> None:
    encoder = load_encoder(str(folder)).encoder
    first = read_card(str(folder)).digest
    with torch.no_grad():
        next(encoder.parameters()).view(-1)[0] += 1e-6
    assert save_encoder(folder, encoder, spec=SPEC, facts={}).digest != first
    assert load_encoder("lab").digest != load_encoder("pixels").digest


def test_random_has_the_same_architecture_and_weights_by_seed(folder: Path) -> None:
    trained = load_encoder(str(folder))
    first, second, other = (load_encoder(f"random:{folder}", seed=seed) for seed in (5, 5, 6))
    assert first.card.spec == trained.card.spec
    assert first.digest == second.digest
    assert len({trained.digest, first.digest, other.digest}) == 3


def change_card(folder: Path, **values: object) -> None:
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, **values}))


def break_bit(folder: Path) -> None:
    content = bytearray((folder / "encoder.safetensors").read_bytes())
    content[-5] ^= 1
    (folder / "encoder.safetensors").write_bytes(content)


def drop_tensor(folder: Path) -> None:
    weights = load_file(folder / "encoder.safetensors")
    save_file(dict(list(weights.items())[1:]), folder / "encoder.safetensors")


@pytest.mark.parametrize(
    "damage",
    [
        break_bit,
        drop_tensor,
        lambda folder: (folder / "encoder.safetensors").unlink(),
        lambda folder: (folder / "encoder.safetensors").write_bytes(b""),
        lambda folder: (folder / "card.json").unlink(),
        lambda folder: (folder / "card.json").write_text("{"),
        lambda folder: (folder / "card.json").write_text('{"a": 1}'),
        lambda folder: (folder / "card.json").write_text("[]"),
        lambda folder: (folder / "card.json").write_bytes(b"\xff\xfe"),
        lambda folder: change_card(folder, spec="small_resnet"),
        lambda folder: change_card(folder, spec={"name": "no_such"}),
        lambda folder: change_card(folder, spec={**SPEC, "widht": 3}),
        lambda folder: change_card(folder, spec={**SPEC, "width": 8}),
    ],
)
def test_damage_is_one_line_that_names_the_folder(folder: Path, damage: object) -> None:
    damage(folder)  # type: ignore[operator]
    with pytest.raises(CheckpointError) as raised:
        load_encoder(str(folder))
    assert str(folder) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "reference",
    ["", "nothing/here", "random:nothing/here", "random:lab", "random:", "random:default", "open_clip:ViT-B-32",
     "timm:no_such_model",
     "timm:resnet10t@nothing.safetensors", "random:timm:no_such_model", "timm:", "lab:stride", "lab:stride=5", "lab:x=1",
     "random:timm:resnet10t:stride=7", "random:resnet18:stride=x", "timm:resnet10t:strid=8", "random:lab:stride=8",
     "sum:lab", "sum:0*lab", "sum:", "sum:0.5*lab+0.5*nothing/here", "random:sum:1*lab"],
)  # fmt: skip
def test_unknown_references_are_refused_in_one_line(reference: str) -> None:
    with pytest.raises(CheckpointError) as raised:
        load_encoder(reference)
    assert "\n" not in str(raised.value)


def test_default_is_what_ships() -> None:
    default, meant = load_encoder("default"), load_encoder(DEFAULT_IS)
    assert default.reference == "default"
    assert default.digest == meant.digest
    assert random_reference("default") == random_reference(DEFAULT_IS)
    assert load_encoder(str(random_reference("default"))).digest != default.digest


def test_shipped_weights_are_small_and_say_what_they_were_trained_on() -> None:
    facts = load_encoder("shipped").card.facts
    assert all(entry["license"] and entry["clip"] for entry in facts["data"])
    assert {"license", "recipe", "seed", "num_steps", "figures"} <= set(facts)
    assert sum(file.stat().st_size for file in SHIPPED_FOLDER.iterdir()) < 12e6


def test_timm_takes_weights_from_a_file_or_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timm_encoder, "reachable", lambda address: False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match="@FILE"):
        load_encoder("timm:resnet10t.c3_in1k")
    random = load_encoder("random:timm:resnet10t", seed=1)
    file = tmp_path / "weights.safetensors"
    save_file({key.removeprefix("model."): value for key, value in random.encoder.state_dict().items()}, file)
    loaded = load_encoder(f"timm:resnet10t@{file}")
    assert loaded.digest == random.digest
    images = torch.rand(1, 3, 64, 64)
    assert_close(loaded.encoder(images), random.encoder(images))
    with pytest.raises(CheckpointError, match="another model"):
        load_encoder(f"timm:resnet14t@{file}")
    file.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_encoder(f"timm:resnet10t@{file}")


def test_settings_in_a_reference() -> None:
    assert load_encoder("lab:stride=16").encoder.stride == 16
    assert load_encoder("lab").digest != load_encoder("lab:stride=16").digest
    assert load_encoder("random:resnet18:stride=16,input=lightness").card.spec == {
        "name": "resnet18",
        "stride": 16,
        "input": "lightness",
    }
    dilated = load_encoder("random:timm:resnet10t:output_stride=8", seed=3)
    assert dilated.encoder.stride == 8


def test_settings_and_a_file_of_weights(tmp_path: Path) -> None:
    random = load_encoder("random:timm:resnet10t", seed=1)
    file = tmp_path / "a=1,b:2.safetensors"
    save_file({key.removeprefix("model."): value for key, value in random.encoder.state_dict().items()}, file)
    loaded = load_encoder(f"timm:resnet10t:stride=16@{file}")
    assert loaded.encoder.stride == 16
    both = load_encoder(f"sum:.7*lab+3*timm:resnet10t:stride=8@{file}")
    assert both.encoder.feature_dim == 96 + load_encoder("random:timm:resnet10t:stride=8").encoder.feature_dim


def test_sum_by_reference() -> None:
    both = load_encoder("sum:0.7*lab+0.3*random:timm:resnet10t:stride=8", seed=2)
    images = torch.rand(1, 3, 32, 32)
    parts = [load_encoder("lab"), load_encoder("random:timm:resnet10t:stride=8", seed=2)]
    wanted = WeightedSum([part.encoder for part in parts], [0.7, 0.3]).features(images)
    assert_close(both.encoder.features(images), wanted)
    assert both.digest != load_encoder("sum:0.6*lab+0.4*random:timm:resnet10t:stride=8", seed=2).digest


def test_half_by_reference_shares_the_encoder_in_a_sum(folder: Path) -> None:
    images = torch.rand(1, 3, 32, 48)
    half, whole = load_encoder(f"half:{folder}"), load_encoder(str(folder))
    assert_close(half.encoder.features(images), HalfSize(whole.encoder).features(images))
    assert half.digest != whole.digest
    both = load_encoder(f"sum:0.6*{folder}+0.4*half:{folder}").encoder
    assert isinstance(both, WeightedSum)
    assert isinstance(both.encoders[1], HalfSize)
    assert both.encoders[1].encoder is both.encoders[0]


@pytest.mark.parametrize(
    ("reference", "fresh"),
    [
        ("lab", None),
        ("lab:stride=16", None),
        ("random:timm:resnet18", None),
        ("folder", "random:folder"),
        ("timm:resnet18:stride=8@f", "random:timm:resnet18:stride=8@f"),
        ("sum:1*lab+2*pixels", None),
        ("sum:0.7*lab+0.3*folder", "sum:0.7*lab+0.3*random:folder"),
        ("half:lab", None),
        ("sum:0.7*folder+0.3*half:folder", "sum:0.7*random:folder+0.3*half:random:folder"),
    ],
)
def test_fresh_weights_of_a_reference(reference: str, fresh: str | None) -> None:
    assert random_reference(reference) == fresh
