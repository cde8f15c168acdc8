"""What every objective must do, tested on every objective that is registered."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed, multiprocessing, nn

from mmssl.config import build
from mmssl.functional.random import ItemRandom
from mmssl.models import ENCODER_CHOICE
from mmssl.objectives import OBJECTIVE_CHOICE, OBJECTIVES
from mmssl.objectives.objective import Batch, Objective
from mmssl.views import VIEW_CHOICE

ENCODER = {"name": "small_resnet", "width": 8, "num_blocks": [1, 1], "feature_dim": 16}
INPUTS = {"video_colorization": "lightness"}
ENCODERS = {"mae": {"name": "vit", "patch": 8, "dim": 32, "depth": 2, "num_heads": 2}}
VIEW_SETTINGS = {"mae": {"patch": 8}}
SETTINGS = {
    "barlow_twins": {"projection_dim": 32},
    "byol": {"hidden_dim": 32, "projection_dim": 16},
    "moco_v3": {"hidden_dim": 32, "projection_dim": 16, "temperature": 0.1},
    "simsiam": {"hidden_dim": 32, "predictor_dim": 8},
    "vicreg": {"projection_dim": 32},
    "dino": {"num_prototypes": 64, "hidden_dim": 32, "bottleneck_dim": 16},
    "mae": {"decoder_dim": 32, "decoder_depth": 1, "decoder_heads": 2},
    "moco_v1": {"queue_length": 16},
    "moco_v2": {"queue_length": 16, "temperature": 0.02},
}
BATCHNORM = ("running_mean", "running_var", "num_batches_tracked")

every_objective = pytest.mark.parametrize("name", sorted(OBJECTIVES))


def clips(num_clips: int, *, seed: int = 1) -> Tensor:
    """Blocks of a color each that move by a few pixels a frame."""
    generator = torch.Generator().manual_seed(seed)
    blocks = torch.randint(0, 256, (num_clips, 3, 6, 6), generator=generator, dtype=torch.uint8)
    pictures = blocks.repeat_interleave(10, -1).repeat_interleave(10, -2)
    return torch.stack([pictures.roll((3 * step, 2 * step), (-2, -1)) for step in range(6)], dim=1)


def objective_and_batch(name: str, *, num_clips: int = 4, seed: int = 0) -> tuple[Objective, Batch]:
    torch.manual_seed(seed)
    encoder = build({**ENCODERS.get(name, ENCODER), "input": INPUTS.get(name, "rgb")}, ENCODER_CHOICE)
    objective: Objective = build({"name": name, **SETTINGS.get(name, {})}, OBJECTIVE_CHOICE, encoder=encoder)
    batch = batch_for(objective, clips(num_clips))
    objective.prepare(batch)
    return objective, batch


def batch_for(objective: Objective, pictures: Tensor) -> Batch:
    spec = objective.default_view
    view = build({**spec, "size": 32, **VIEW_SETTINGS.get(spec["name"], {})}, VIEW_CHOICE)
    batch: Batch = view(pictures, ItemRandom(0, 0, range(len(pictures))))
    if objective.needs_labels:
        batch["labels"] = torch.arange(len(pictures)) // 2
    return batch


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


@every_objective
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
        objective.after_step(objective(batch_for(objective, clips(8, seed=seed))), progress=0.5)
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

    torch.manual_seed(99)
    encoder = build({**ENCODERS.get(name, ENCODER), "input": INPUTS.get(name, "rgb")}, ENCODER_CHOICE)
    resumed: Objective = build({"name": name, **SETTINGS.get(name, {})}, OBJECTIVE_CHOICE, encoder=encoder)
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


def gradients_on_rank(rank: int, ranks: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = distributed.FileStore(f"{folder}/store", ranks)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=ranks)
    for name in sorted(OBJECTIVES):
        objective, batch = objective_and_batch(name)
        freeze_batchnorm(objective)
        rows = len(next(iter(batch.values()))) // ranks
        output = objective({key: value[rank * rows :][:rows] for key, value in batch.items()})
        output["loss"].backward()
        found = gradients(objective)
        for gradient in found.values():
            distributed.all_reduce(gradient)
            gradient /= ranks
        if rank == 0:
            torch.save(found, f"{folder}/{name}.pt")
    distributed.destroy_process_group()


def test_two_processes_give_the_gradient_of_one(tmp_path: Path) -> None:
    multiprocessing.start_processes(gradients_on_rank, args=(2, str(tmp_path)), nprocs=2, start_method="fork")
    for name in sorted(OBJECTIVES):
        objective, batch = objective_and_batch(name)
        freeze_batchnorm(objective)
        objective(batch)["loss"].backward()
        halves = torch.load(tmp_path / f"{name}.pt", weights_only=True)
        whole = gradients(objective)
        assert set(halves) == set(whole)
        atol = 1e-5 * max(1.0, *(gradient.abs().max().item() for gradient in whole.values()))
        for parameter, gradient in whole.items():
            torch.testing.assert_close(halves[parameter], gradient, atol=atol, rtol=1e-3, msg=f"{name}: {parameter}")
