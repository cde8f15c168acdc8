"""Objectives of two views: the right heads, the right loss, and who gets a gradient."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.testing import assert_close

from mmssl.functional.contrastive import info_nce
from mmssl.functional.redundancy import barlow_twins, vicreg
from mmssl.models.encoder import Encoder
from mmssl.models.small_resnet import SmallResNet
from mmssl.objectives.barlow_twins import BarlowTwins
from mmssl.objectives.byol import BYOL
from mmssl.objectives.moco_v3 import MoCoV3
from mmssl.objectives.objective import Objective
from mmssl.objectives.simsiam import SimSiam
from mmssl.objectives.vicreg import VICReg

BATCH = {"view_1": torch.rand(6, 3, 16, 16), "view_2": torch.rand(6, 3, 16, 16)}
SWAPPED = {"view_1": BATCH["view_2"], "view_2": BATCH["view_1"]}


def encoder() -> SmallResNet:
    return SmallResNet(width=4, feature_dim=6)


def unit(x: Tensor) -> Tensor:
    return functional.normalize(x, dim=1)


def byol() -> BYOL:
    return BYOL(encoder(), hidden_dim=10, projection_dim=5)


def moco_v3(**settings: object) -> MoCoV3:
    return MoCoV3(encoder(), hidden_dim=10, projection_dim=5, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [byol, moco_v3], ids=["byol", "moco_v3"])
def test_the_teacher_is_a_copy_that_gets_no_gradient_and_follows_by_a_cosine(make: type[Objective]) -> None:
    objective = make()
    student = nn.Sequential(objective.encoder, objective.projector)
    images = BATCH["view_1"]
    assert torch.equal(objective.teacher(images), student(images))
    output = objective(BATCH)
    output["loss"].backward()
    assert all(parameter.grad is None for parameter in objective.teacher.parameters())
    start = {name: value.clone() for name, value in objective.teacher.network.named_parameters()}
    with torch.no_grad():
        for parameter in student.parameters():
            parameter += 1
    objective.momentum = 0.5
    objective.after_step(output, progress=0.5)
    for name, value in objective.teacher.network.named_parameters():
        assert_close(value, start[name] + 0.25)
    moved = {name: value.clone() for name, value in objective.teacher.network.named_parameters()}
    objective.after_step(output, progress=1.0)
    assert all(torch.equal(value, moved[name]) for name, value in objective.teacher.network.named_parameters())


def test_byol_adds_both_directions() -> None:
    objective = byol().eval()
    student = nn.Sequential(objective.encoder, objective.projector, objective.predictor)
    first, second = BATCH["view_1"], BATCH["view_2"]
    terms = [
        (unit(student(seen)) - unit(objective.teacher(target))).square().sum(1).mean()
        for seen, target in ((first, second), (second, first))
    ]
    assert_close(objective(BATCH)["loss"], sum(terms))
    assert_close(objective(SWAPPED)["loss"], objective(BATCH)["loss"])


def test_byols_teacher_has_batchnorm_statistics_of_its_own_passes() -> None:
    objective = byol()
    for _ in range(2):
        objective.after_step(objective(BATCH), progress=0.1)
    with torch.no_grad():
        for parameter in objective.encoder.parameters():
            parameter *= 2
    objective(BATCH)
    mine = objective.teacher.network[0].stem[1]
    assert mine.num_batches_tracked == objective.encoder.stem[1].num_batches_tracked == 6
    assert not torch.equal(mine.running_mean, objective.encoder.stem[1].running_mean)


@pytest.mark.parametrize("heads", ["resnet", "vit"])
def test_moco_v3_compares_both_ways_within_the_batch(heads: str) -> None:
    objective = moco_v3(heads=heads, temperature=0.3).eval()
    student = nn.Sequential(objective.encoder, objective.projector, objective.predictor)
    first, second = BATCH["view_1"], BATCH["view_2"]
    both = sum(
        info_nce(student(a), objective.teacher(b), temperature=0.3) for a, b in ((first, second), (second, first))
    )
    assert_close(objective(BATCH)["loss"], 0.6 * both)
    assert len([layer for layer in objective.projector if isinstance(layer, nn.Linear)]) == (3 if heads == "vit" else 2)
    assert isinstance(objective.predictor[-1], nn.BatchNorm1d if heads == "vit" else nn.Linear)


class Patched(Encoder):
    """Has patches and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.input, self.stride, self.dim, self.feature_dim = "rgb", 8, 4, 4
        self.patch_embed = nn.Conv2d(3, 4, 8, stride=8)
        self.rest = nn.Linear(4, 4)

    def forward(self, images: Tensor) -> Tensor:
        return self.rest(self.patch_embed(images).mean((2, 3)))


def test_moco_v3_freezes_the_patch_embedding_unless_told_not_to() -> None:
    for freeze in (True, False):
        objective = MoCoV3(Patched(), hidden_dim=8, projection_dim=4, freeze_patch_embedding=freeze)
        objective(BATCH)["loss"].backward()
        assert (objective.encoder.patch_embed.weight.grad is None) == freeze
        assert objective.encoder.rest.weight.grad is not None


def test_simsiam_is_the_mean_cosine_and_stops_the_gradient_at_the_target() -> None:
    objective = SimSiam(encoder(), hidden_dim=10, predictor_dim=4)
    a, b = (objective.projector(objective.encoder(BATCH[key])) for key in ("view_1", "view_2"))
    terms = [-(unit(objective.predictor(x)) * unit(y)).sum(1).mean() / 2 for x, y in ((a, b), (b, a))]
    assert_close(objective(BATCH)["loss"], sum(terms))
    nn.init.zeros_(objective.predictor[-1].weight)
    objective(BATCH)["loss"].backward()
    assert all(parameter.grad.abs().max() == 0 for parameter in objective.encoder.parameters())


def test_barlow_twins_and_vicreg_are_encoder_projector_and_loss() -> None:
    for objective, loss in ((BarlowTwins(encoder(), projection_dim=7), barlow_twins),
                            (VICReg(encoder(), projection_dim=7), vicreg)):  # fmt: skip
        objective.eval()
        head = objective.get_submodule("projector" if isinstance(objective, BarlowTwins) else "expander")
        a, b = (head(objective.encoder(BATCH[key])) for key in ("view_1", "view_2"))
        assert a.shape == (6, 7)
        assert_close(objective(BATCH)["loss"], loss(a, b))


@pytest.mark.parametrize(("kind", "across"), [(BYOL, False), (SimSiam, False), (MoCoV3, True), (VICReg, True)])
def test_says_whether_it_looks_across_the_batch(kind: type[Objective], across: bool) -> None:
    assert kind.looks_across_batch == across
