"""What is trained here opens in open_clip, and gives the same embeddings there."""

from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from mmssl.config import build
from mmssl.errors import CheckpointError
from mmssl.functional.framing import framed
from mmssl.models import ENCODER_CHOICE
from mmssl.models.image_text import ImageTextEncoder
from mmssl.models.loading import load_encoder, save_encoder
from mmssl.models.open_clip_export import export_open_clip
from mmssl.objectives.clip import CLIP

VISION = {"image_size": 32, "layers": 1, "width": 16, "head_width": 8, "patch_size": 16}
TEXT = {"context_length": 12, "vocab_size": 49408, "width": 8, "heads": 1, "layers": 1}
PLAIN: dict[str, Any] = {
    "name": "open_clip",
    "config": {"embed_dim": 8, "vision_cfg": VISION, "text_cfg": TEXT},
    "preprocess": {
        "mean": [0.5, 0.4, 0.3],
        "std": [0.5, 0.25, 0.5],
        "interpolation": "bilinear",
        "resize_mode": "squash",
    },
}
CUSTOM = {**PLAIN, "config": {**PLAIN["config"], "custom_text": True}}
CAPTIONS = ["a red square", "two dogs", "snow", "a photo of a boat on the sea"]


def trained(spec: dict[str, Any], folder: Path) -> None:
    """A checkpoint after a few steps."""
    torch.manual_seed(0)
    objective = CLIP(build(spec, ENCODER_CHOICE))
    optimizer = torch.optim.AdamW(objective.parameters(), lr=1e-3)
    batch = {"image": torch.rand(4, 3, 32, 32), "tokens": objective.tokenize(CAPTIONS), "caption": torch.arange(4)}
    for _ in range(3):
        optimizer.zero_grad()
        objective(batch)["loss"].backward()
        optimizer.step()
    save_encoder(folder, objective.encoder, spec=spec, facts={})


@pytest.mark.parametrize("spec", [PLAIN, CUSTOM])
def test_open_clip_gives_the_same_embeddings(spec: dict[str, Any], tmp_path: Path) -> None:
    trained(spec, tmp_path / "checkpoint")
    loaded = load_encoder(str(tmp_path / "checkpoint"))
    out = tmp_path / "exported"
    export_open_clip(loaded, out)
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{out}")
    model.eval()
    ours = loaded.encoder
    assert isinstance(ours, ImageTextEncoder)
    image = torch.rand(1, 3, 6, 4, generator=torch.Generator().manual_seed(1))
    image = (torch.nn.functional.interpolate(image, (60, 40), mode="bilinear") * 255).to(torch.uint8)
    seen = transform(Image.fromarray(image[0].permute(1, 2, 0).numpy()))[None]
    mean, std = (torch.tensor(spec["preprocess"][name])[:, None, None] for name in ("mean", "std"))
    with torch.inference_mode():
        assert_close(ours(seen * std + mean), model.encode_image(seen), atol=1e-5, rtol=1e-5)
        assert_close(ours(framed(image, ours.framing).float() / 255), model.encode_image(seen), atol=1e-2, rtol=1e-2)
        assert_close(
            ours.embed_texts(CAPTIONS), model.encode_text(open_clip.get_tokenizer(f"local-dir:{out}")(CAPTIONS))
        )
    assert model.logit_scale.exp().item() == pytest.approx(ours.scale)
    again = load_encoder(f"open_clip:{out}").encoder
    for name, value in ours.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)
    export_open_clip(loaded, out)


def test_what_open_clip_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="only trainings with the encoder open_clip"):
        export_open_clip(load_encoder("lab"), tmp_path / "out")
    over_time = {**PLAIN, "pool": {"name": "transformer", "width": 8, "depth": 1, "num_heads": 2}}
    trained(over_time, tmp_path / "video")
    with pytest.raises(CheckpointError, match="only models with pool: mean"):
        export_open_clip(load_encoder(str(tmp_path / "video")), tmp_path / "out")
    (tmp_path / "thesis.txt").write_text("years of work")
    trained(PLAIN, tmp_path / "checkpoint")
    with pytest.raises(CheckpointError, match="holds other files"):
        export_open_clip(load_encoder(str(tmp_path / "checkpoint")), tmp_path)
    assert (tmp_path / "thesis.txt").exists()
