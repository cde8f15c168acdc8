"""Runs of objectives with a memory, stopped and called again, end with the bytes of runs that were never stopped."""

from pathlib import Path

import pytest
import torch

from mmssl.objectives.objective import Output
from mmssl.training.loop import train
from mmssl.training.settings import TrainSettings
from tests.objectives.family import ENCODER, make_objective, make_view
from tests.training.test_loss_curves import MovingBlocks


class Stopped(Exception):
    """Raised in the middle of a training."""


def run(out: Path, name: str, *, stop_after: int | None = None) -> None:
    objective = make_objective(name)
    move, moved = objective.after_step, 0

    def stopping(output: Output, *, progress: float) -> None:
        nonlocal moved
        move(output, progress=progress)
        moved += 1
        if moved == stop_after:
            raise Stopped

    objective.after_step = stopping  # type: ignore[method-assign]
    train(
        objective,
        make_view(objective),
        MovingBlocks(objective),
        out=out,
        settings=TrainSettings(
            batch_size=5,
            num_steps=5,
            log_every=1,
            watch_every=0,
            checkpoint_every_steps=1,
            checkpoint_every_seconds=None,
            device="cpu",
        ),
        seed=0,
        encoder_spec=ENCODER,
    )


@pytest.mark.parametrize("name", ["audio_visual_correspondence", "byol", "cpc", "dino", "moco_v2"])
def test_teacher_queue_and_center_survive_a_resume_bit_for_bit(tmp_path: Path, name: str) -> None:
    """Batches of 5 do not divide the queue of 16."""
    run(tmp_path / "whole", name)
    for folder in ("stopped", "stopped"):
        with pytest.raises(Stopped):
            run(tmp_path / folder, name, stop_after=3)
        torch.randn(7)
    run(tmp_path / "stopped", name)
    files = ("metrics.jsonl", "checkpoint/encoder.safetensors", "state/step-0000000005/state.safetensors")
    for file in files:
        assert (tmp_path / "stopped" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file
