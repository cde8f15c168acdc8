"""CPC where negatives come from: the same on two processes as on one, and refused where it cannot be."""

from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing

from mmssl.config import build
from mmssl.errors import ConfigError, TrainingError
from mmssl.functional.random import ItemRandom
from mmssl.models import ENCODER_CHOICE
from mmssl.objectives import OBJECTIVE_CHOICE
from mmssl.objectives.cpc import CPC
from mmssl.objectives.objective import Batch
from mmssl.training.loop import train
from mmssl.training.settings import TrainSettings
from mmssl.views.sound import SoundView
from tests.objectives.family import ENCODER, SOUND_ENCODER, sound_clips
from tests.training.test_loss_curves import MovingBlocks


def make(negatives: str, **settings: object) -> CPC:
    torch.manual_seed(0)
    encoder = build(SOUND_ENCODER, ENCODER_CHOICE)
    spec = {"name": "cpc", "num_steps": 3, "num_negatives": 6, "negatives": negatives, **settings}
    objective = build(spec, OBJECTIVE_CHOICE, encoder=encoder)
    assert isinstance(objective, CPC)
    return objective


def make_batch() -> Batch:
    batch = SoundView()(sound_clips(4), ItemRandom(0, 0, range(4)))
    return batch | {"groups": torch.tensor([0, 1, 0, 1])}


def gradient(objective: CPC, batch: Batch) -> torch.Tensor:
    objective(batch)["loss"].backward()
    return torch.cat([value.grad.flatten() for value in objective.parameters() if value.grad is not None])


def on_rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = distributed.FileStore(f"{folder}/store", 2)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
    for negatives in ("batch", "group"):
        own = {name: value[2 * rank :][:2] for name, value in make_batch().items()}
        found = gradient(make(negatives), own)
        distributed.all_reduce(found)
        if rank == 0:
            torch.save(found / 2, f"{folder}/{negatives}.pt")
    distributed.destroy_process_group()


def test_negatives_of_all_processes(tmp_path: Path) -> None:
    multiprocessing.start_processes(on_rank, args=(str(tmp_path),), nprocs=2, start_method="fork")
    for negatives in ("batch", "group"):
        wanted = gradient(make(negatives), make_batch())
        found = torch.load(tmp_path / f"{negatives}.pt", weights_only=True)
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("negatives", ["batch", "group"])
def test_micro_batches_are_refused_where_windows_lend_each_other_negatives(negatives: str, tmp_path: Path) -> None:
    objective = make(negatives)
    settings = TrainSettings(batch_size=4, num_steps=1, accumulate=2, watch_every=0, device="cpu")
    arguments = {"out": tmp_path, "seed": 0, "encoder_spec": SOUND_ENCODER}
    with pytest.raises(TrainingError, match="compares the items of a batch"):
        train(objective, SoundView(), MovingBlocks(objective), settings=settings, **arguments)


def test_groups_reach_the_objective(tmp_path: Path) -> None:
    objective = make("group")
    settings = TrainSettings(batch_size=4, num_steps=2, log_every=1, device="cpu")
    train(
        objective,
        SoundView(num_samples=1200),
        MovingBlocks(objective),
        out=tmp_path,
        settings=settings,
        seed=0,
        encoder_spec=SOUND_ENCODER,
    )
    assert '"accuracy_3"' in (tmp_path / "metrics.jsonl").read_text()


def test_what_it_cannot_train() -> None:
    with pytest.raises(ConfigError, match="cpc trains a cpc_encoder, not SmallResNet"):
        CPC(build(ENCODER, ENCODER_CHOICE))
    with pytest.raises(ConfigError, match="windows of 20 codes are too short to predict 20 steps ahead"):
        make("window", num_steps=20)(make_batch())
    with pytest.raises(ConfigError, match="num_samples is 9000, but windows have 1600"):
        SoundView(num_samples=9000)(sound_clips(2), ItemRandom(0, 0, range(2)))
    objective = make("window")
    with pytest.raises(ConfigError, match="takes sound of 8000 Hz, but the clips are pictures"):
        objective.encoder.check_fits(None)


def test_what_comes_later_may_be_another_version_of_the_same() -> None:
    objective, batch = make("window"), make_batch()
    plain = objective(batch)["loss"]
    torch.testing.assert_close(objective(batch | {"later": batch["sound"]})["loss"], plain)
    torch.testing.assert_close(objective(batch | {"later": 3 * batch["sound"]})["loss"], plain, atol=1e-3, rtol=0)
    assert objective(batch | {"later": batch["sound"].flip(2)})["loss"] != plain
