"""The probe that follows a training: what it scores, what it leaves alone, and that it goes on where it stopped."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mmssl.errors import EvaluationError
from mmssl.evaluation.label_probe import LabelProbe, ProbeSettings
from mmssl.training.loop import train
from mmssl.training.probe import OnlineProbe
from mmssl.training.settings import TrainSettings
from tests.evaluation.toys import ColorClips, small_encoder
from tests.training.test_loop import lines, result
from tests.training.tiny import MeanObjective, noisy_view

SETTINGS = ProbeSettings(num_train=30, num_test=15, k=3, batch_size=10)


def probe_of(clips: ColorClips | None = None, **changes: Any) -> LabelProbe:
    return LabelProbe(clips or ColorClips(90), dim=8, settings=replace(SETTINGS, **changes), seed=0)


def run(out: Path, *, probe_every: int = 4, stop_after: int | None = None, num_steps: int = 12) -> None:
    """Trains a small encoder, with a probe beside it; stops in the middle where told to."""
    encoder = small_encoder(1).encoder.train()
    torch.manual_seed(0)
    objective = MeanObjective(encoder)
    clips = ColorClips(90)
    probe: OnlineProbe | None = LabelProbe(clips, dim=8, settings=SETTINGS, seed=0) if probe_every else None
    settings = TrainSettings(
        batch_size=6, num_steps=num_steps, log_every=2, watch_every=0, probe_every=probe_every, checkpoint_every_steps=3
    )
    forward, calls = objective.forward, 0

    def stopping(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        nonlocal calls
        calls += 1
        if stop_after is not None and calls > stop_after:
            raise InterruptedError
        return forward(batch)

    objective.forward = stopping  # type: ignore[method-assign]
    train(objective, noisy_view, clips, out=out, settings=settings, seed=3, encoder_spec={"name": "x"}, probe=probe)


def test_scores_what_can_be_told_apart() -> None:
    probe = probe_of()
    for _ in range(6):
        found = probe.look(small_encoder().encoder)
    assert found["probe_knn"] > 0.8
    assert found["probe_linear"] > 0.8
    assert found["probe_chance"] == pytest.approx(1 / 3)


def test_parts_are_balanced_and_apart() -> None:
    probe = probe_of()
    assert set(probe._train).isdisjoint(probe._test)
    assert torch.bincount(torch.from_numpy(probe._train_classes)).tolist() == [10, 10, 10]
    assert torch.bincount(torch.from_numpy(probe._test_classes)).tolist() == [5, 5, 5]


def test_encoder_and_random_numbers_are_left_alone() -> None:
    encoder = small_encoder().encoder.train()
    encoder.stem.eval()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    state = torch.random.get_rng_state()
    probe_of().look(encoder)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert encoder.training
    assert not encoder.stem.training
    assert all(parameter.grad is None for parameter in encoder.parameters())


def test_state_goes_on_bit_for_bit() -> None:
    encoder = small_encoder().encoder
    whole = probe_of()
    first = [whole.look(encoder) for _ in range(4)]
    early, late = probe_of(), probe_of()
    second = [early.look(encoder) for _ in range(2)]
    late.restore({name: value.clone() for name, value in early.state().items()})
    assert first == second + [late.look(encoder) for _ in range(2)]


def test_training_is_the_same_with_and_without(tmp_path: Path) -> None:
    run(tmp_path / "with")
    run(tmp_path / "without", probe_every=0)
    name = "checkpoint/encoder.safetensors"
    assert result(tmp_path / "with")[name] == result(tmp_path / "without")[name]
    looks = [line["step"] for line in lines(tmp_path / "with") if "probe_linear" in line]
    assert looks == [4, 8, 12]


@pytest.mark.parametrize("stop_after", [4, 7, 11])
def test_interrupted_training_ends_with_the_same_bytes(tmp_path: Path, stop_after: int) -> None:
    run(tmp_path / "whole")
    with pytest.raises(InterruptedError):
        run(tmp_path / "stopped", stop_after=stop_after)
    run(tmp_path / "stopped")
    assert result(tmp_path / "stopped") == result(tmp_path / "whole")


def test_without_labels_it_is_refused() -> None:
    class Unlabelled(ColorClips):
        @property
        def items(self) -> list:
            return [replace(item, label=None) for item in super().items]

    with pytest.raises(EvaluationError, match=r"have 0 labels and 0 such classes; .* probe_every: 0"):
        probe_of(Unlabelled())
    with pytest.raises(ValueError, match="num_test 0"):
        ProbeSettings(num_test=0)


def test_head_is_the_probes_own() -> None:
    probe = probe_of()
    assert isinstance(probe._head, nn.Linear)
    probe.look(small_encoder().encoder)
    assert set(probe.state()) >= {"head/weight", "head/bias", "adam/weight/exp_avg", "looks"}
