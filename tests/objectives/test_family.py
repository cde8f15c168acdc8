"""What every objective must do, tested on every objective that is registered."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed, multiprocessing, nn

from mmssl.errors import TrainingError
from mmssl.objectives import OBJECTIVES
from mmssl.objectives.objective import Batch, Objective
from mmssl.training.loop import joined, train
from mmssl.training.settings import TrainSettings
from tests.objectives.family import ENCODER, FURTHER, make_batch, make_objective, make_view
from tests.training.test_loss_curves import MovingBlocks
from tests.training.tiny import TinyClips

BATCHNORM = ("running_mean", "running_var", "num_batches_tracked")

EVERY = sorted([*OBJECTIVES, *FURTHER])
every_objective = pytest.mark.parametrize("name", EVERY)


def objective_and_batch(name: str, *, num_clips: int = 4) -> tuple[Objective, Batch]:
    objective = make_objective(name)
    batch = make_batch(objective, num_clips=num_clips)
    objective.prepare(batch)
    return objective, batch


def step(objective: Objective, optimizer: torch.optim.Optimizer, batch: Batch, *, moving: bool = True) -> float:
    output = objective(batch)
    optimizer.zero_grad()
    output["loss"].backward()
    optimizer.step()
    if moving:
        objective.after_step(output, progress=0.5)
    return output["loss"].item()


def gradients(objective: Objective) -> dict[str, Tensor]:
    return {name: value.grad for name, value in objective.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_says_where_it_comes_from(name: str) -> None:
    assert any(kind in OBJECTIVES[name].source for kind in ("arXiv:", "doi:"))


@every_objective
def test_gradients_are_finite_and_reach_the_whole_encoder(name: str) -> None:
    objective, batch = objective_and_batch(name)
    output = objective(batch)
    assert output["loss"].shape == ()
    assert torch.isfinite(output["loss"])
    output["loss"].backward()
    found = gradients(objective)
    for parameter, gradient in found.items():
        assert torch.isfinite(gradient).all(), parameter
    for parameter, _ in objective.encoder.named_parameters():
        assert f"encoder.{parameter}" in found, f"{parameter} gets no gradient"
    assert any(gradient.abs().max() > 0 for gradient in found.values())


@every_objective
def test_forward_and_pictures_change_nothing_but_batchnorm(name: str) -> None:
    objective, batch = objective_and_batch(name)
    before, random, given = copy.deepcopy(objective.state_dict()), torch.get_rng_state(), copy.deepcopy(batch)
    objective(batch)
    for key, value in objective.state_dict().items():
        assert key.endswith(BATCHNORM) or torch.equal(value, before[key]), key
    after = copy.deepcopy(objective.state_dict())
    for picture in objective.pictures(batch).values():
        assert picture.ndim == 3
        assert picture.shape[0] == 3
        assert picture.min() >= 0
        assert picture.max() <= 1
    assert objective.training
    assert all(torch.equal(value, after[key]) for key, value in objective.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(batch[key], given[key]) for key in given)


@every_objective
def test_loss_falls(name: str) -> None:
    """Queue and teacher, once they have seen other clips, stand still here: what they learn makes the problem harder."""
    objective, batch = objective_and_batch(name, num_clips=8)
    for seed in (2, 3):
        objective.after_step(objective(make_batch(objective, num_clips=8, seed=seed)), progress=0.5)
    optimizer = torch.optim.AdamW(objective.parameters(), lr=2e-3)
    losses = [step(objective, optimizer, batch, moving=False) for _ in range(25)]
    assert sum(losses[-3:]) / 3 < 0.8 * losses[0]


@every_objective
def test_saved_and_loaded_goes_on_bit_for_bit(name: str, tmp_path: Path) -> None:
    def optimizer_of(objective: Objective) -> torch.optim.Optimizer:
        return torch.optim.AdamW(objective.parameters(), lr=1e-3)

    objective, batch = objective_and_batch(name)
    optimizer = optimizer_of(objective)
    for _ in range(2):
        step(objective, optimizer, batch)
    torch.save([objective.state_dict(), optimizer.state_dict()], tmp_path / "state.pt")
    losses = [step(objective, optimizer, batch) for _ in range(3)]

    resumed = make_objective(name, seed=99)
    state, optimizer_state = torch.load(tmp_path / "state.pt", weights_only=True)
    resumed.load_state_dict(state)
    optimizer = optimizer_of(resumed)
    optimizer.load_state_dict(optimizer_state)
    assert [step(resumed, optimizer, batch) for _ in range(3)] == losses
    assert all(torch.equal(value, resumed.state_dict()[key]) for key, value in objective.state_dict().items())


def freeze_batchnorm(objective: Objective) -> None:
    """Uses running statistics, which do not depend on how a batch is cut."""
    for module in objective.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def part_of(batch: Batch, part: int, parts: int) -> Batch:
    rows = len(next(iter(batch.values()))) // parts
    return {key: value[part * rows :][:rows] for key, value in batch.items()}


def assert_same(name: str, found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert set(found) == set(wanted)
    atol = 1e-5 * max(1.0, *(value.abs().max().item() for value in wanted.values()))
    for key, value in wanted.items():
        torch.testing.assert_close(found[key], value, atol=atol, rtol=1e-3, msg=f"{name}: {key}")


@every_objective
def test_micro_batches_are_one_batch_or_refused(name: str, tmp_path: Path) -> None:
    """Gradients add up, and so do queue, center and teacher, but for BatchNorm, which stands still here."""
    whole, batch = objective_and_batch(name)
    if whole.looks_across_batch:
        settings = TrainSettings(batch_size=4, num_steps=1, accumulate=2, device="cpu")
        source = TinyClips() if whole.encoder.sample_rate is None else MovingBlocks(whole)
        with pytest.raises(TrainingError, match="compares the items of a batch"):
            train(whole, make_view(whole), source, out=tmp_path, settings=settings, seed=0, encoder_spec=ENCODER)
        return
    parts, _ = objective_and_batch(name)
    freeze_batchnorm(whole)
    freeze_batchnorm(parts)
    output = whole(batch)
    output["loss"].backward()
    outputs = []
    for part in range(2):
        outputs.append(parts(part_of(batch, part, 2)))
        (outputs[-1]["loss"] / 2).backward()
    assert_same(name, gradients(parts), gradients(whole))
    whole.after_step(output, progress=0.5)
    parts.after_step(joined(outputs), progress=0.5)
    assert_same(name, parts.state_dict(), whole.state_dict())


def gradients_on_rank(rank: int, ranks: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = distributed.FileStore(f"{folder}/store", ranks)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=ranks)
    for name in EVERY:
        objective, batch = objective_and_batch(name)
        freeze_batchnorm(objective)
        output = objective(part_of(batch, rank, ranks))
        output["loss"].backward()
        found = gradients(objective)
        for gradient in found.values():
            distributed.all_reduce(gradient)
            gradient /= ranks
        objective.after_step(output, progress=0.5)
        if rank == 0:
            torch.save([found, objective.state_dict()], f"{folder}/{name}.pt")
    distributed.destroy_process_group()


def test_two_processes_give_the_gradient_and_the_state_of_one(tmp_path: Path) -> None:
    multiprocessing.start_processes(gradients_on_rank, args=(2, str(tmp_path)), nprocs=2, start_method="fork")
    for name in EVERY:
        objective, batch = objective_and_batch(name)
        freeze_batchnorm(objective)
        output = objective(batch)
        output["loss"].backward()
        halves, state = torch.load(tmp_path / f"{name}.pt", weights_only=True)
        assert_same(name, halves, gradients(objective))
        objective.after_step(output, progress=0.5)
        assert_same(name, state, objective.state_dict())
