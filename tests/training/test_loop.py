"""The loop trains, writes what it should, and goes on bit for bit."""

import json
import multiprocessing
import os
import random
import signal
import time
from multiprocessing.process import BaseProcess as Process
from pathlib import Path

import pytest
import torch

from mmssl.config import build
from mmssl.errors import CheckpointError, TrainingError
from mmssl.models import ENCODER_CHOICE
from mmssl.models.loading import load_encoder
from mmssl.training.batches import Batches
from mmssl.training.distributed import Ranks
from mmssl.training.settings import Plan, TrainSettings
from tests.training.tiny import SPEC, MeanObjective, TinyClips, noisy_view, run


def result(out: Path) -> dict[str, bytes]:
    """Every file that must not depend on the clock or on interruptions."""
    files = (path for path in out.rglob("*") if path.is_file())
    return {str(path.relative_to(out)): path.read_bytes() for path in files if path.relative_to(out).parts[0] != "logs"}


def lines(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted training of 15 steps."""
    out = tmp_path_factory.mktemp("whole")
    run(out)
    return out


def test_writes_what_it_says(whole: Path) -> None:
    assert set(result(whole)) == {
        "metrics.jsonl",
        "checkpoint/encoder.safetensors",
        "checkpoint/card.json",
        "state/step-0000000015/state.safetensors",
        "state/step-0000000015/state.json",
    }
    assert [line["step"] for line in lines(whole)] == [2, 4, 6, 8, 10, 12, 14, 15]
    assert {"loss", "accuracy", "gradient_norm", "lr", "epoch"} <= set(lines(whole)[0])
    assert [line["step"] for line in lines(whole) if "spread" in line] == [6, 10, 15]
    assert len(list((whole / "logs").glob("events*"))) == 1
    assert len((whole / "logs" / "timing.jsonl").read_text().splitlines()) == 8
    assert load_encoder(str(whole / "checkpoint")).card.facts["seed"] == 3


def test_calling_it_again_changes_nothing(whole: Path) -> None:
    before = result(whole)
    run(whole)
    assert result(whole) == before


class Stopped(Exception):
    """Raised in the middle of a training."""


def interrupted_run(out: Path, calls: int, **settings: object) -> None:
    """A training that is stopped in the middle of a step, after some whole ones."""
    forward = MeanObjective.forward
    left = calls

    def stopping(self: MeanObjective, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        nonlocal left
        left -= 1
        if left < 0:
            raise Stopped
        return forward(self, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MeanObjective, "forward", stopping)
        with pytest.raises(Stopped):
            run(out, **settings)


def tiny_encoder() -> object:
    torch.manual_seed(1)
    return build(SPEC, ENCODER_CHOICE)


@pytest.mark.parametrize("every", [1, 3])
def test_an_interruption_at_any_step_changes_nothing(tmp_path: Path, every: int) -> None:
    settings = {"num_steps": 7, "epochs": None, "checkpoint_every_steps": every}
    run(tmp_path / "whole", **settings)
    for stop in range(7):
        out = tmp_path / str(stop)
        interrupted_run(out, stop, **settings)
        run(out, **settings)
        assert result(out) == result(tmp_path / "whole"), f"stopped in step {stop + 1}"


def test_one_run_interrupted_again_and_again(whole: Path, tmp_path: Path) -> None:
    for _ in range(5):
        interrupted_run(tmp_path, 2, checkpoint_every_steps=1)
    run(tmp_path)
    assert result(tmp_path) == result(whole)


@pytest.mark.parametrize("optimizer", ["sgd", "lars"])
def test_every_optimizer_goes_on_bit_for_bit(tmp_path: Path, optimizer: str) -> None:
    settings = {"optimizer": {"name": optimizer, "lr": 0.1}, "num_steps": 6, "epochs": None, "clip_norm": 0.5}
    run(tmp_path / "whole", **settings)
    interrupted_run(tmp_path / "stopped", 4, checkpoint_every_steps=3, **settings)
    run(tmp_path / "stopped", **settings)
    assert result(tmp_path / "stopped") == result(tmp_path / "whole")


def test_prefetching_and_channels_last_can_be_interrupted_too(tmp_path: Path) -> None:
    settings = {"num_steps": 6, "epochs": None, "channels_last": True}
    run(tmp_path / "whole", **settings, prefetch=False)
    settings["prefetch"] = True
    interrupted_run(tmp_path / "stopped", 4, checkpoint_every_steps=3, **settings)
    run(tmp_path / "stopped", **settings)
    assert result(tmp_path / "stopped") == result(tmp_path / "whole")


def start(out: Path, **settings: object) -> Process:
    """A training in a process of its own."""
    process = multiprocessing.get_context("fork").Process(target=run_alone, args=(out, settings))
    process.start()
    return process


def run_alone(out: Path, settings: dict[str, object]) -> None:
    torch.set_num_threads(1)
    try:
        run(out, **settings)
    except KeyboardInterrupt:
        os._exit(130)


def wait_for_lines(process: Process, out: Path, count: int) -> None:
    """Polls until the metrics have so many lines."""
    while process.is_alive():
        if (out / "metrics.jsonl").exists() and (out / "metrics.jsonl").read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.002)


@pytest.fixture(scope="module")
def long_whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Of 75 steps."""
    out = tmp_path_factory.mktemp("long")
    run(out, epochs=15)
    return result(out)


def test_sigkill_at_random_moments_changes_nothing(long_whole: dict[str, bytes], tmp_path: Path) -> None:
    chance = random.Random(0)
    for kill in range(3):
        process = start(tmp_path, epochs=15, checkpoint_every_steps=1)
        wait_for_lines(process, tmp_path, 10 * kill + chance.randrange(1, 10))
        time.sleep(chance.random() * 0.02)
        process.kill()
        process.join()
        assert not (tmp_path / "checkpoint").exists(), "it was killed before its end"
    run(tmp_path, epochs=15)
    assert result(tmp_path) == long_whole


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_save_the_state(
    long_whole: dict[str, bytes], tmp_path: Path, number: signal.Signals, code: int
) -> None:
    process = start(tmp_path, epochs=15)
    wait_for_lines(process, tmp_path, 10)
    assert process.pid is not None
    os.kill(process.pid, number)
    process.join()
    assert process.exitcode == code
    assert len(list((tmp_path / "state").glob("step-*"))) == 1
    assert not (tmp_path / "checkpoint").exists()
    run(tmp_path, epochs=15)
    assert result(tmp_path) == long_whole


@pytest.mark.parametrize("file", ["state.safetensors", "state.json"])
def test_a_damaged_state_falls_back_to_the_one_before(
    whole: Path, tmp_path: Path, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted_run(tmp_path, 9, checkpoint_every_steps=2)
    states = sorted((tmp_path / "state").iterdir())
    assert [state.name for state in states] == ["step-0000000006", "step-0000000008"]
    content = (states[1] / file).read_bytes()
    (states[1] / file).write_bytes(content[: len(content) // 2])
    run(tmp_path)
    assert "step-0000000008: is damaged" in capsys.readouterr().err
    assert result(tmp_path) == result(whole)


def test_a_state_of_other_settings_is_refused(tmp_path: Path) -> None:
    interrupted_run(tmp_path, 4, checkpoint_every_steps=2)
    for other in ({"epochs": 4}, {"optimizer": {"name": "adamw", "lr": 0.5}}, {"clips": 23}):
        with pytest.raises(CheckpointError, match="other settings, data or objective"):
            run(tmp_path, **other)


class BreakingObjective(MeanObjective):
    """Has a loss, or a gradient, that is not finite for one clip."""

    def __init__(self, encoder: object, *, what: str, bad: float) -> None:
        super().__init__(encoder)
        self.what, self.bad = what, bad

    def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        output = super().forward(batch)
        hit = (batch["first"] == self.bad).any()
        if self.what == "loss":
            return output | {"loss": output["loss"] / (~hit).float()}
        zero = output["out"].mean() * 0.0
        return output | {"loss": output["loss"] + (torch.sqrt(zero) if hit else zero)}


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_numbers_that_are_not_finite_stop_it_with_the_clips(tmp_path: Path, what: str) -> None:
    clips = TinyClips()
    values = clips.clips(range(len(clips)))[:, 0, 0, 0, 0].tolist()
    target = next(index for index, value in enumerate(values) if values.count(value) == 1)
    objective = BreakingObjective(tiny_encoder(), what=what, bad=float(values[target]))
    with pytest.raises(
        TrainingError, match=rf"step \d+: the {what} is (inf|nan); clips of the batch: r\d+#0, r"
    ) as error:
        run(tmp_path, objective=objective, epochs=20)
    bad = json.loads((tmp_path / "bad_batch.json").read_text())
    assert f"r{target}#0" in bad["clips"]
    assert len(bad["clips"]) == 4
    assert f"step {bad['step']}:" in str(error.value)


def test_each_epoch_has_its_own_order_and_no_clip_twice(tmp_path: Path) -> None:
    plan = Plan(22, 1, TrainSettings(batch_size=4, epochs=3))
    ranks = Ranks(0, 1, torch.device("cpu"))
    batches = Batches(TinyClips(), noisy_view, seed=0, plan=plan, ranks=ranks)
    epochs = [[index for step in range(5 * e, 5 * e + 5) for index in batches.indices(step)[1]] for e in range(3)]
    assert all(len(set(order)) == 20 for order in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    other = Batches(TinyClips(), noisy_view, seed=1, plan=plan, ranks=ranks)
    assert other.indices(0) != batches.indices(0)


class FixedNormObjective(MeanObjective):
    """Keeps BatchNorm in evaluation mode, which otherwise sees a micro-batch at a time."""

    def train(self, mode: bool = True) -> "FixedNormObjective":
        super().train(False)
        return self


def test_micro_batches_are_one_batch(tmp_path: Path) -> None:
    trained = []
    for accumulate in (1, 4):
        objective = FixedNormObjective(tiny_encoder())
        run(tmp_path / str(accumulate), objective=objective, double=True, accumulate=accumulate, log_every=1)
        trained.append(objective.state_dict())
    for name, value in trained[0].items():
        torch.testing.assert_close(value, trained[1][name], rtol=1e-9, atol=1e-12)
    losses = [[line["loss"] for line in lines(tmp_path / str(accumulate))] for accumulate in (1, 4)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)


def test_micro_batches_are_refused_where_items_are_compared(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="ContrastObjective compares the items of a batch"):
        run(tmp_path, "contrast", accumulate=2)


def test_the_loss_falls(tmp_path: Path) -> None:
    run(tmp_path, epochs=12, optimizer={"name": "adamw", "lr": 0.02}, log_every=10)
    losses = [line["loss"] for line in lines(tmp_path)]
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("number", [1, 3])
def test_old_states_are_removed(tmp_path: Path, number: int) -> None:
    interrupted_run(tmp_path, 11, checkpoint_every_steps=2, keep_states=number)
    names = [path.name for path in sorted((tmp_path / "state").iterdir())]
    assert names == [f"step-{step:010}" for step in (6, 8, 10)][-number:]


def test_weight_decay_is_scheduled_for_weights_alone(tmp_path: Path) -> None:
    decays = []

    class Watching(MeanObjective):
        def after_step(self, output: dict[str, torch.Tensor], *, progress: float) -> None:
            super().after_step(output, progress=progress)
            decays.append([group["weight_decay"] for group in optimizers[0].param_groups])

    optimizers: list[torch.optim.Optimizer] = []
    with pytest.MonkeyPatch.context() as patch:
        step = torch.optim.AdamW.step

        def noting(self: torch.optim.Optimizer, closure: None = None) -> None:
            optimizers[:] = [self]
            step(self, closure)

        patch.setattr(torch.optim.AdamW, "step", noting)
        run(tmp_path, objective=Watching(tiny_encoder()), num_steps=4, epochs=None, final_weight_decay=0.45)
    weights, others = zip(*decays, strict=True)
    assert weights[0] == pytest.approx(0.05)
    assert weights[2] == pytest.approx(0.25)
    assert set(others) == {0.0}
