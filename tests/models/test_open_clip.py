"""Models of open_clip, beside open_clip itself: the same embeddings, and weights that are never random in silence."""

import json
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.testing import assert_close

from mmssl.config import build
from mmssl.errors import CheckpointError
from mmssl.functional.framing import framed
from mmssl.models import ENCODER_CHOICE, open_clip_weights
from mmssl.models.image_text import ImageTextEncoder
from mmssl.models.loading import load_encoder, save_encoder
from mmssl.models.open_clip_weights import named_model

CONFIG: dict[str, Any] = {
    "embed_dim": 8,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 16, "head_width": 8, "patch_size": 16},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 8, "heads": 1, "layers": 1},
}
PREPROCESS = {"mean": [0.5, 0.4, 0.3], "std": [0.5, 0.5, 0.5], "interpolation": "bicubic", "resize_mode": "shortest"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model as open_clip keeps models in a folder."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": CONFIG, "preprocess_cfg": PREPROCESS}))
    torch.manual_seed(3)
    model = open_clip.CLIP(**CONFIG)
    save_file(
        {name: value.contiguous() for name, value in model.state_dict().items()}, folder / "open_clip_model.safetensors"
    )
    return folder


def test_embeddings_are_those_of_open_clip(folder: Path) -> None:
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    model.eval()
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    loaded = load_encoder(f"open_clip:{folder}")
    encoder = loaded.encoder
    assert isinstance(encoder, ImageTextEncoder)
    coarse = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    image = (torch.nn.functional.interpolate(coarse, (70, 50), mode="bilinear") * 255).to(torch.uint8)
    pil = Image.fromarray(image[0].permute(1, 2, 0).numpy())
    texts = ["a photo of a cat", "two dogs on a beach and many more words than fit into the twelve places"]
    with torch.inference_mode():
        found = encoder(framed(image, encoder.framing).float() / 255)
        assert_close(found, model.encode_image(transform(pil)[None]), atol=1e-2, rtol=1e-2)
        assert_close(encoder.embed_texts(texts), model.encode_text(tokenizer(texts)))
    assert encoder.scale == pytest.approx(model.logit_scale.exp().item())


def test_a_file_fits_a_named_architecture_only(folder: Path, tmp_path: Path) -> None:
    weights = folder / "open_clip_model.safetensors"
    with pytest.raises(CheckpointError, match="of another model") as raised:
        load_encoder(f"open_clip:ViT-S-32-alt:{weights}")
    assert "\n" not in str(raised.value)
    damaged = tmp_path / "w.safetensors"
    damaged.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="damaged"):
        load_encoder(f"open_clip:ViT-S-32-alt:{damaged}")


def test_without_a_hub_it_says_which_file_to_bring_and_where_it_looked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(open_clip_weights, "reachable", lambda server: False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError) as raised:
        load_encoder("open_clip:ViT-B-32:laion2b_s34b_b79k")
    message = str(raised.value)
    assert "no hub can be reached" in message
    assert "laion/CLIP-ViT-B-32-laion2B-s34B-b79K/resolve/main/open_clip_model.safetensors" in message
    assert str(tmp_path / "models--laion--CLIP-ViT-B-32-laion2B-s34B-b79K") in message
    assert "open_clip:ViT-B-32:FILE" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("open_clip:ViT-B-32", "weights are not named.*laion2b_s34b_b79k"),
        ("open_clip:ViT-B-32:no_such_tag", "neither a file nor a tag.*laion2b_s34b_b79k"),
        ("open_clip:ViT-B-33:x", "has no model 'ViT-B-33'.*ViT-B-32"),
        ("random:open_clip:nothing", "has no model"),
        ("open_clip:", "has no model"),
    ],
)
def test_wrong_references_are_refused_in_one_line(reference: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as raised:
        load_encoder(reference)
    assert "\n" not in str(raised.value)


def test_a_folder_without_weights_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text((folder / "open_clip_config.json").read_text())
    with pytest.raises(CheckpointError, match=r"holds no weights.*open_clip_model\.safetensors"):
        load_encoder(f"open_clip:{tmp_path}")
    (tmp_path / "open_clip_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="is not the configuration"):
        load_encoder(f"open_clip:{tmp_path}")


def test_random_weights_have_to_be_asked_for(folder: Path) -> None:
    first, again = (load_encoder(f"random:open_clip:{folder}", seed=4) for _ in range(2))
    assert first.digest == again.digest
    assert first.digest != load_encoder(f"open_clip:{folder}").digest
    assert first.card.facts["weights"] == "random"


def test_saved_as_a_checkpoint_and_loaded(folder: Path, tmp_path: Path) -> None:
    loaded = load_encoder(f"open_clip:{folder}")
    save_encoder(tmp_path / "checkpoint", loaded.encoder, spec=loaded.card.spec, facts={})
    again = load_encoder(str(tmp_path / "checkpoint"))
    assert again.digest == loaded.digest
    encoder = again.encoder
    assert isinstance(encoder, ImageTextEncoder)
    with torch.inference_mode():
        assert torch.equal(encoder.embed_texts(["a cat"]), loaded.encoder.embed_texts(["a cat"]))  # type: ignore[operator]


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        CONFIG | {"vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8}},
        CONFIG
        | {
            "custom_text": True,
            "vision_cfg": {"timm_model_name": "resnet10t", "timm_pool": "", "timm_proj": "linear", "image_size": 64},
        },
    ],
    ids=["transformer", "resnet", "timm"],
)
def test_maps_of_every_kind_of_image_tower(config: dict[str, Any]) -> None:
    encoder = build({"name": "open_clip", "config": config}, ENCODER_CHOICE).eval()
    images = torch.rand(2, 3, 61, 35)
    with torch.inference_mode():
        assert encoder(images).shape == (2, 8)
        maps = encoder.features(images)
    assert maps.shape == (2, encoder.feature_dim, -(-61 // encoder.stride), -(-35 // encoder.stride))


def test_what_a_command_line_names() -> None:
    assert named_model("ViT-B-32", None) == "open_clip:ViT-B-32:laion2b_s34b_b79k"
    assert named_model("ViT-B-16", "weights.pt") == "open_clip:ViT-B-16:weights.pt"
    assert named_model("random:open_clip:RN50", None) == "random:open_clip:RN50"
    assert named_model("open_clip:RN50:openai", None) == "open_clip:RN50:openai"
    with pytest.raises(CheckpointError, match="brings its weights itself"):
        named_model("open_clip:RN50:openai", "weights.pt")
