"""What the report says of a training that collapsed."""

import json
from pathlib import Path

import torch

from mmssl.functional.random import ItemRandom
from mmssl.models.small_resnet import SmallResNet
from mmssl.objectives.frame_order import FrameOrder
from mmssl.report.page import write_report
from mmssl.report.section import Warn, read_section
from mmssl.stages.train_section import write_train_section
from tests.training.tiny import TinyClips


def five_frames(clips: torch.Tensor, random: ItemRandom) -> dict[str, torch.Tensor]:
    return {"frames": clips.float().div(255).expand(-1, 5, -1, -1, -1)}


def write(run: Path, *, spread: float) -> None:
    """The section of a training whose embeddings had some spread when they were last looked at."""
    stage = run / "training"
    stage.mkdir(parents=True)
    look = {"spread": spread, "effective_rank": 3.0}
    lines = [
        {"step": step, "epoch": 0, "loss": 0.7, "lr": 0.1, **(look if step == 20 else {})} for step in (10, 20, 30)
    ]
    (stage / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (stage / "stage.json").write_text("{}")
    torch.manual_seed(0)
    encoder = SmallResNet(width=2, feature_dim=4, num_blocks=(1, 1))
    write_train_section(stage, FrameOrder(encoder), five_frames, TinyClips(), title="Training: frame_order", seed=0)


def test_a_collapsed_training_is_said_first_and_at_the_top_of_the_page(tmp_path: Path) -> None:
    write(tmp_path, spread=1e-4)
    (warning,) = [block for block in read_section(tmp_path / "training")[1] if isinstance(block, Warn)]
    assert warning.text.startswith("At the end the embeddings of different clips are almost alike")
    page = write_report(tmp_path).read_text()
    assert page.count("has probably collapsed") == 2
    assert page.index("has probably collapsed") < page.index("What ran</h2>")


def test_a_healthy_training_is_not_warned_of(tmp_path: Path) -> None:
    write(tmp_path, spread=0.2)
    assert not any(isinstance(block, Warn) for block in read_section(tmp_path / "training")[1])
    assert "has probably collapsed" not in write_report(tmp_path).read_text()
