"""Every objective has the same loss curve on two processes as on one that holds the whole batch."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from torch import Tensor

from mmssl.data.dataset import ClipItem
from mmssl.media.clip import Footage
from mmssl.objectives import OBJECTIVES
from mmssl.objectives.objective import Objective
from mmssl.training.distributed import joined_ranks
from mmssl.training.loop import train
from mmssl.training.settings import TrainSettings
from tests.objectives.family import ENCODER, clips_for, make_objective, make_view
from tests.training.ranks import on_ranks

NUM_CLIPS, BATCH_SIZE, NUM_STEPS = 12, 6, 5


class MovingBlocks:
    """The clips of the family's tests as a source, those that an objective takes."""

    def __init__(self, objective: Objective) -> None:
        self.digest = "moving blocks"
        self.sample_rate = objective.encoder.sample_rate
        clips = clips_for(objective, NUM_CLIPS)
        self._footage = clips if isinstance(clips, Footage) else None
        self._clips = clips.frames if isinstance(clips, Footage) else clips
        self.sound_rate = None if self._footage is None else self._footage.sample_rate

    @property
    def items(self) -> Sequence[ClipItem]:
        times = () if self._footage is None else tuple(self._footage.seconds[0].tolist())
        return [
            ClipItem(f"r{i}#0", f"r{i}", str(i // 2), "train", f"r{i}", f"caption {i}", times) for i in range(NUM_CLIPS)
        ]

    def __len__(self) -> int:
        return NUM_CLIPS

    def clips(self, indices: Sequence[int], *, epoch: int = 0) -> Tensor:
        return self._clips[list(indices)]

    def sounds(self, indices: Sequence[int], *, epoch: int = 0) -> Tensor:
        assert self._footage is not None
        return self._footage.sound[list(indices)]


def train_all(out: Path) -> None:
    """Trains every objective a few steps, each from the weights that it always starts from."""
    with joined_ranks("cpu"):
        for name in sorted(OBJECTIVES):
            objective = make_objective(name)
            train(
                objective,
                make_view(objective),
                MovingBlocks(objective),
                out=out / name,
                settings=TrainSettings(
                    batch_size=BATCH_SIZE,
                    num_steps=NUM_STEPS,
                    optimizer={"name": "sgd", "lr": 0.003},
                    clip_norm=1.0,
                    log_every=1,
                    watch_every=0,
                    checkpoint_every_seconds=None,
                    device="cpu",
                ),
                seed=0,
                encoder_spec=ENCODER,
            )


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Trainings on one process and on two."""
    found = {name: tmp_path_factory.mktemp(name) for name in ("one", "two")}
    train_all(found["one"])
    on_ranks(2, train_all, found["two"])
    return found


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_two_processes_have_the_loss_curve_of_one(folders: dict[str, Path], name: str) -> None:
    one, two = (
        [json.loads(line) for line in (folder / name / "metrics.jsonl").read_text().splitlines()]
        for folder in folders.values()
    )
    assert len(one) == NUM_STEPS
    assert one[0]["loss"] != one[-1]["loss"]
    for first, second in zip(one, two, strict=True):
        assert second["loss"] == pytest.approx(first["loss"], rel=2e-4)
