"""The command with a small model of open_clip, beside open_clip's own way to classify."""

import json
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from mmssl.cli.app import app
from mmssl.models import open_clip_weights
from mmssl.zeroshot.template_sets import TEMPLATE_SETS

CONFIG: dict[str, Any] = {
    "embed_dim": 8,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 16, "head_width": 8, "patch_size": 16},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 8, "heads": 1, "layers": 1},
}
NAMES = ["cat", "dog", "a red car", "house"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": CONFIG}))
    weights = open_clip.CLIP(**CONFIG).state_dict()
    save_file({name: value.contiguous() for name, value in weights.items()}, folder / "open_clip_model.safetensors")
    return folder


def run(*arguments: str) -> None:
    app(["zeroshot", *arguments], standalone_mode=False)


def test_answers_are_those_of_open_clip(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "classes.txt").write_text("\n".join(NAMES))
    pictures = []
    for number in range(6):
        coarse = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(number))
        large = torch.nn.functional.interpolate(coarse, (40 + 8 * number, 60), mode="bilinear")[0]
        pictures.append(Image.fromarray((large * 255).byte().permute(1, 2, 0).numpy()))
        pictures[-1].save(tmp_path / f"{number}.png")
    out = tmp_path / "found.jsonl"
    run(
        str(tmp_path / "*.png"), "--classes", str(tmp_path / "classes.txt"), "--model", str(model),
        "--templates", "cifar", "-o", str(out), "--device", "cpu", "--workers", "1",
    )  # fmt: skip
    assert capsys.readouterr().out == f"{out}\n"

    theirs, _, transform = open_clip.create_model_and_transforms(f"local-dir:{model}")
    templates = [template.replace("{c}", "{}") for template in TEMPLATE_SETS["cifar"]]
    tokenizer = open_clip.get_tokenizer(f"local-dir:{model}")
    with torch.inference_mode():
        classes = open_clip.build_zero_shot_classifier(theirs.eval(), tokenizer, NAMES, templates)
        images = theirs.encode_image(torch.stack([transform(picture) for picture in pictures]), normalize=True)
        wanted = (theirs.logit_scale.exp() * images @ classes).softmax(1)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    for row, probabilities in zip(rows, wanted, strict=True):
        found = dict(zip(row["classes"], row["probabilities"], strict=True))
        assert [found[name] for name in NAMES] == pytest.approx(probabilities.tolist(), abs=0.01)
        assert row["answer"] == NAMES[int(probabilities.argmax())]


def test_without_weights_nothing_is_classified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(open_clip_weights, "reachable", lambda server: False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "classes.txt").write_text("cat\n")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(SystemExit) as raised:
        run(str(tmp_path / "a.png"), "--classes", str(tmp_path / "classes.txt"), "-o", str(tmp_path / "found.csv"))
    assert raised.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no hub can be reached; bring the file https://huggingface.co/laion/CLIP-ViT-B-32" in line
    assert not (tmp_path / "found.csv").exists()
