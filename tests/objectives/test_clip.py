"""CLIP and SigLIP on pairs that can be told apart, in micro-batches, and with towers that stay as they are."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from mmssl.config import build
from mmssl.errors import ConfigError
from mmssl.models import ENCODER_CHOICE
from mmssl.models.image_text import MAX_LOG_SCALE
from mmssl.models.loading import copy_weights, load_encoder, save_encoder
from mmssl.models.towers import ImageTextTowers
from mmssl.objectives import OBJECTIVE_CHOICE
from mmssl.objectives.clip import CLIP
from mmssl.objectives.objective import Batch
from tests.models.published_bert import TOWER, sentence_embedding, write_bert

WORDS = (
    "red",
    "green",
    "blue",
    "dark",
    "small",
    "flat",
    "wet",
    "hot",
    "low",
    "new",
    "old",
    "far",
    "odd",
    "dry",
    "raw",
    "big",
)
ENCODER: dict[str, Any] = {
    "name": "image_text",
    "image": {"name": "vit", "patch": 8, "dim": 32, "depth": 1, "num_heads": 2},
    "text": {"name": "transformer", "dim": 32, "depth": 1, "num_heads": 2, "context": 6},
    "projection_dim": 32,
    "size": 16,
}


def make(name: str = "clip", **settings: Any) -> CLIP:
    torch.manual_seed(0)
    encoder = build(ENCODER, ENCODER_CHOICE)
    objective: CLIP = build({"name": name, **settings}, OBJECTIVE_CHOICE, encoder=encoder)
    return objective


def pairs(objective: CLIP, count: int) -> Batch:
    """Random images, each with two words of its own."""
    captions = [f"{WORDS[number // 16]} {WORDS[number % 16]}" for number in range(count)]
    images = torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    return {"image": images, "tokens": objective.tokenize(captions), "caption": torch.arange(count)}


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_overfits_128_pairs(name: str) -> None:
    objective = make(name)
    batch = pairs(objective, 128)
    optimizer = torch.optim.Adam(objective.parameters(), lr=3e-3)
    for _ in range(400):
        output = objective(batch)
        optimizer.zero_grad()
        output["loss"].backward()
        optimizer.step()
        objective.after_step(output, progress=1.0)
        if output["loss"] < 0.09:
            break
    assert output["loss"] < 0.1
    assert output["accuracy"] > 0.99


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_micro_batches_have_the_gradient_of_the_whole_batch(name: str) -> None:
    found = []
    for settings in ({}, {"micro_batch": 5, "rows_at_once": 4}):
        objective = make(name, **settings)
        objective(pairs(objective, 16))["loss"].backward()
        found.append({key: value.grad for key, value in objective.named_parameters()})
    for key, gradient in found[0].items():
        assert_close(found[1][key], gradient, atol=1e-5, rtol=1e-4, msg=key)


def test_the_scale_stops_at_a_hundred() -> None:
    objective = make(initial_temperature=0.001)
    output = objective(pairs(objective, 4))
    objective.after_step(output, progress=1.0)
    assert objective.towers.log_scale.item() == pytest.approx(MAX_LOG_SCALE)
    assert make("siglip").towers.scale == pytest.approx(10.0)
    assert make().towers.scale == pytest.approx(1 / 0.07)


def test_the_image_tower_starts_from_another_training_and_may_be_locked(tmp_path: Path) -> None:
    trained = build(ENCODER["image"], ENCODER_CHOICE)
    save_encoder(tmp_path / "trained", trained, spec=ENCODER["image"], facts={})
    objective = make(image_from=str(tmp_path / "trained"), lock=["image"])
    start = {key: value.clone() for key, value in objective.encoder.state_dict().items()}
    for key, value in trained.state_dict().items():
        assert torch.equal(start[f"image.{key}"], value)
    optimizer = torch.optim.AdamW([part for part in objective.parameters() if part.requires_grad], lr=1e-2)
    objective.train()(pairs(objective, 8))["loss"].backward()
    optimizer.step()
    assert not objective.towers.get_submodule("image").training
    moved = {key for key, value in objective.encoder.state_dict().items() if not torch.equal(value, start[key])}
    assert not any(key.startswith("image.") for key in moved)
    assert {"image_projection.weight", "logit_scale"} <= moved
    with pytest.raises(ConfigError, match="another network"):
        make(image_from="random:resnet18")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lock_stages": {"image": 1}}, "VisionTransformer does not come in stages"),
        ({"lock_stages": {"text": 3}}, "3 stages, the last of which learns: 1 to 2"),
        ({"lock_stages": {"text": 1}, "lock": ["text"]}, "locked as a whole"),
    ],
)
def test_stages_that_cannot_be_locked_are_refused(settings: dict[str, Any], message: str) -> None:
    encoder = build({**ENCODER, "text": TOWER}, ENCODER_CHOICE)
    with pytest.raises(ConfigError, match=message):
        build({"name": "clip", **settings}, OBJECTIVE_CHOICE, encoder=encoder)


def test_what_enters_projections_may_be_given_the_same_spread() -> None:
    encoder = build({**ENCODER, "standardize": True}, ENCODER_CHOICE).train()
    embeddings = encoder.image_projection[0](torch.randn(64, 32) * torch.arange(1, 33) + 5)  # type: ignore[index]
    assert_close(embeddings.std(0, correction=0), torch.ones(32), atol=1e-3, rtol=0)
    assert not list(encoder.image_projection[0].parameters())  # type: ignore[index]


def test_sides_may_drop_different_shares() -> None:
    for settings, wanted in (({}, [0.5, 0.5]), ({"text_dropout": 0.2}, [0.5, 0.2]), ({"text_dropout": 0.0}, [0.5])):
        encoder = build({**ENCODER, "dropout": 0.5, **settings}, ENCODER_CHOICE)
        assert isinstance(encoder, ImageTextTowers)
        sides = (encoder.image_projection, encoder.text_projection)
        found = [each.p for side in sides for each in side.modules() if isinstance(each, torch.nn.Dropout)]
        assert found == wanted


def test_an_encoder_without_text_is_refused() -> None:
    with pytest.raises(ConfigError, match="knows no text"):
        build("clip", OBJECTIVE_CHOICE, encoder=build({"name": "small_resnet", "width": 4}, ENCODER_CHOICE))


def test_a_trained_pair_of_towers_is_a_checkpoint_that_reads_text(tmp_path: Path) -> None:
    objective = make()
    save_encoder(tmp_path / "pair", objective.encoder, spec=ENCODER, facts={})
    loaded = load_encoder(str(tmp_path / "pair"))
    texts = ["red wet", "a long sentence that does not fit"]
    with torch.inference_mode():
        assert_close(loaded.encoder.embed_texts(texts), objective.eval().towers.embed_texts(texts))  # type: ignore[operator]


def test_padding_changes_nothing() -> None:
    towers = make().eval().towers
    with torch.inference_mode():
        both = towers.embed_texts(["red", "red wet large old"])
        assert_close(both[:1], towers.embed_texts(["red"]), atol=1e-6, rtol=1e-5)


def test_towers_start_from_published_weights_or_from_an_earlier_training(tmp_path: Path) -> None:
    weights = write_bert(tmp_path / "published")
    spec = {**ENCODER, "text": TOWER}
    encoder = build(spec, ENCODER_CHOICE)
    first = build({"name": "clip", "text_from": str(tmp_path / "published")}, OBJECTIVE_CHOICE, encoder=encoder).eval()
    tokens = first.tokenize(["a dog"])
    with torch.inference_mode():
        found = first.towers.text(tokens)[0]
    assert_close(found, sentence_embedding(weights, tokens[0, :4].tolist()), atol=1e-6, rtol=1e-5)
    save_encoder(tmp_path / "first", encoder, spec=spec, facts={})
    second = build(spec, ENCODER_CHOICE)
    copy_weights(str(tmp_path / "first"), second, what="the encoder")
    assert all(torch.equal(value, second.get_parameter(name)) for name, value in encoder.named_parameters())
    assert second.tokenize(["dogs"]).tolist() == first.tokenize(["dogs"]).tolist()
    with pytest.raises(ConfigError, match="the encoder is another network"):
        copy_weights(str(tmp_path / "first"), make().encoder, what="the encoder")
    with pytest.raises(ConfigError, match="text_from is for bert"):
        make(text_from=str(tmp_path / "published"))
