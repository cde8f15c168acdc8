"""Two ranks compute what one process computes with the whole batch."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from mmssl.errors import TrainingError
from mmssl.training.distributed import average_over_ranks, joined_ranks
from mmssl.training.settings import Plan, TrainSettings
from mmssl.training.sync_batchnorm import SynchronizedBatchNorm, synchronized_batchnorm
from tests.training.ranks import on_ranks
from tests.training.tiny import run


def state(out: Path) -> dict[str, torch.Tensor]:
    return load_file(next((out / "state").glob("step-*")) / "state.safetensors")


ONE_STEP = {"num_steps": 1, "epochs": None, "schedule": "constant", "watch_every": 0}
PLAIN_SGD = {"name": "sgd", "lr": 1.0, "weight_decay": 0.0, "momentum": 0.0}


@pytest.mark.parametrize(("name", "tolerance"), [("mean", 1e-12), ("contrast", 1e-12), ("simclr", 1e-6)])
def test_two_ranks_have_the_gradients_of_one(tmp_path: Path, name: str, tolerance: float) -> None:
    """After one step of plain SGD at rate 1, equal weights mean equal gradients; SimCLR's loss is in single precision."""
    run(tmp_path / "none", name, double=True, **ONE_STEP, optimizer=PLAIN_SGD | {"lr": 0.0})
    run(tmp_path / "one", name, double=True, **ONE_STEP, optimizer=PLAIN_SGD)
    on_ranks(2, run, tmp_path / "two", name, double=True, **ONE_STEP, optimizer=PLAIN_SGD)
    start, one, two = (state(tmp_path / folder) for folder in ("none", "one", "two"))
    assert any((one[key] - start[key]).abs().max() > 1e-3 for key in one)
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, rtol=1e-9, atol=tolerance)


@pytest.mark.parametrize("name", ["mean", "contrast"])
def test_two_ranks_train_like_one(tmp_path: Path, name: str) -> None:
    settings = {
        "num_steps": 8,
        "epochs": None,
        "optimizer": {"name": "lars", "lr": 1.0, "trust": 0.1},
        "clip_norm": 1.0,
    }
    run(tmp_path / "one", name, double=True, **settings)
    on_ranks(2, run, tmp_path / "two", name, double=True, **settings)
    for key, value in state(tmp_path / "one").items():
        torch.testing.assert_close(state(tmp_path / "two")[key], value, rtol=1e-6, atol=1e-9)
    rows = [
        [json.loads(line) for line in (tmp_path / folder / "metrics.jsonl").read_text().splitlines()]
        for folder in ("one", "two")
    ]
    for one, two in zip(*rows, strict=True):
        assert two == pytest.approx(one, rel=1e-6)


def test_two_ranks_go_on_from_one(tmp_path: Path) -> None:
    """A state does not depend on the number of ranks, so a run may go on with another number."""
    run(tmp_path / "first", double=True, num_steps=3, epochs=None)
    on_ranks(2, run, tmp_path / "first", "mean", double=True, num_steps=3, epochs=None)
    assert len(list((tmp_path / "first" / "state").iterdir())) == 1


def test_a_batch_that_ranks_cannot_share_is_refused() -> None:
    with pytest.raises(TrainingError, match="make it a multiple of 6"):
        Plan(22, 3, TrainSettings(batch_size=4, epochs=1, accumulate=2))


def average() -> None:
    with joined_ranks("cpu") as ranks:
        both, one, none = (nn.Parameter(torch.zeros(2, 2)) for _ in range(3))
        both.grad = torch.full((2, 2), float(ranks.rank))
        if ranks.rank == 1:
            one.grad = torch.full((2, 2), 8.0)
        scalars = average_over_ranks(
            [both, one, none], torch.tensor([ranks.rank + 1.0, 5.0], dtype=torch.float64), ranks
        )
        assert none.grad is None
        assert both.grad is not None
        assert one.grad is not None
        assert scalars.tolist() == [1.5, 5.0]
        assert both.grad.tolist() == [[0.5, 0.5]] * 2
        assert one.grad.tolist() == [[4.0, 4.0]] * 2


def test_gradients_of_some_ranks_count_as_zero_on_the_others() -> None:
    on_ranks(2, average)


def test_converts_plain_batchnorms_only_and_keeps_their_tensors() -> None:
    class Derived(nn.BatchNorm2d):
        pass

    net = nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Sequential(nn.BatchNorm1d(4, affine=False)), Derived(4)
    )
    before = dict(net.state_dict(keep_vars=True))
    synchronized_batchnorm(net)
    assert isinstance(net[1], SynchronizedBatchNorm)
    assert isinstance(net[2][0], SynchronizedBatchNorm)
    assert type(net[3]) is Derived
    after = net.state_dict(keep_vars=True)
    assert list(after) == list(before)
    assert all(after[name] is before[name] for name in before)
