"""Trained from the same weights on the same views, an objective and lightly's modules and losses stay together step by step.

In float64: a training doubles a rounding error every step or two, and in float32 it would be seen after ten.
"""

import copy
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD
from torch.testing import assert_close

pytest.importorskip("lightly", reason="lightly is a development dependency")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lightly.loss import DINOLoss, NegativeCosineSimilarity, NTXentLoss
    from lightly.models.modules import heads
    from lightly.models.utils import deactivate_requires_grad, update_momentum
    from lightly.utils.scheduler import cosine_schedule

from mmssl.models.small_resnet import SmallResNet
from mmssl.objectives.byol import BYOL
from mmssl.objectives.dino import DINO
from mmssl.objectives.moco import MoCoV2
from mmssl.objectives.objective import Batch, Objective
from mmssl.objectives.simclr import SimCLR

STEPS = 20
BATCH = 8
FROZEN = 5
"""Steps in which DINO's last layer stands still."""


@dataclass
class Counterpart:
    """lightly's side of a training.

    Args:
        step: The loss of a batch, given the number of the step from 0; teachers move inside, as in lightly's examples.
        parameters: Of the student, in the order of the objective's.
        frozen: What is done to gradients before the optimizer uses them, given the number of the step.
    """

    step: Callable[[Batch, int], Tensor]
    parameters: list[nn.Parameter]
    frozen: Callable[[int], None] = lambda step: None


def encoder() -> SmallResNet:
    return SmallResNet(width=4, feature_dim=8)


def take_over(theirs: nn.Module, ours: nn.Module) -> None:
    """Copies weights in the order in which both register them; where lightly's BatchNorm replaces a bias, both have none."""
    mine, others = list(ours.parameters()), list(theirs.parameters())
    assert [value.shape for value in mine] == [value.shape for value in others]
    with torch.no_grad():
        for value, other in zip(mine, others, strict=True):
            other.copy_(value)


def teacher_of(student: nn.Module) -> nn.Module:
    teacher = copy.deepcopy(student)
    deactivate_requires_grad(teacher)
    return teacher


def momentum_before(step: int, start: float) -> float:
    """lightly moves teachers before a step, this package after it."""
    return cosine_schedule(step, STEPS + 1, start, 1.0)


def simclr(objective: SimCLR) -> Counterpart:
    """lightly's own head has a BatchNorm at its end too."""
    layers = [(8, 16, nn.BatchNorm1d(16), nn.ReLU()), (16, 4, None, None)]
    network, head = copy.deepcopy(objective.encoder), heads.ProjectionHead(layers)
    take_over(head, objective.head)
    criterion = NTXentLoss(temperature=0.5)
    return Counterpart(
        lambda batch, _: criterion(*(head(network(batch[key])) for key in ("view_1", "view_2"))),
        [*network.parameters(), *head.parameters()],
    )


def moco_v2(objective: MoCoV2) -> Counterpart:
    head = heads.MoCoProjectionHead(8, 16, 4)
    take_over(head, objective.head)
    student = nn.Sequential(copy.deepcopy(objective.encoder), head)
    teacher = teacher_of(student)
    criterion = NTXentLoss(temperature=0.2, memory_bank_size=(32, 4))
    criterion.memory_bank.bank = objective.queue.keys.clone()
    criterion.memory_bank.bank_ptr = torch.zeros(1, dtype=torch.int64)

    def step(batch: Batch, _: int) -> Tensor:
        update_momentum(student, teacher, m=0.9)
        return criterion(student(batch["view_1"]), teacher(batch["view_2"]))

    return Counterpart(step, list(student.parameters()))


def byol(objective: BYOL) -> Counterpart:
    projector, predictor = heads.BYOLProjectionHead(8, 16, 4), heads.BYOLPredictionHead(4, 16, 4)
    take_over(projector, objective.projector)
    take_over(predictor, objective.predictor)
    student = nn.Sequential(copy.deepcopy(objective.encoder), projector)
    teacher = teacher_of(student)
    criterion = NegativeCosineSimilarity()

    def step(batch: Batch, number: int) -> Tensor:
        update_momentum(student, teacher, m=momentum_before(number, 0.9))
        (p0, z0), (p1, z1) = ((predictor(student(batch[key])), teacher(batch[key])) for key in ("view_1", "view_2"))
        return 4 + 2 * (criterion(p0, z1) + criterion(p1, z0))

    return Counterpart(step, [*student.parameters(), *predictor.parameters()])


def dino(objective: DINO) -> Counterpart:
    """Crops of one size go through the networks together, as in the paper's code; lightly's examples pass one at a time."""
    head, teacher_head = (heads.DINOProjectionHead(8, 16, 4, 12) for _ in range(2))
    take_over(head.layers, objective.head.layers)
    with torch.no_grad():
        head.last_layer.weight_v.copy_(objective.head.last.weight)
    teacher_head.load_state_dict(head.state_dict())
    network = copy.deepcopy(objective.encoder)
    student, teacher = nn.Sequential(network, head), nn.Sequential(copy.deepcopy(network), teacher_head)
    deactivate_requires_grad(teacher)
    criterion = DINOLoss(output_dim=12, teacher_temp=0.04, student_temp=0.1)

    def step(batch: Batch, number: int) -> Tensor:
        update_momentum(student, teacher, m=momentum_before(number, 0.9))
        together = {name: crops.transpose(0, 1).flatten(0, 1) for name, crops in batch.items()}
        answers = [*student(together["global"]).chunk(2), *student(together["local"]).chunk(3)]
        return criterion(list(teacher(together["global"]).chunk(2)), answers)

    def frozen(number: int) -> None:
        if number < FROZEN:
            head.last_layer.weight_v.grad = None

    parameters = [*network.parameters(), *head.layers.parameters(), head.last_layer.weight_v]
    return Counterpart(step, parameters, frozen)


PAIRS: dict[str, tuple[Callable[[], Objective], Callable[..., Counterpart]]] = {
    "simclr": (lambda: SimCLR(encoder(), temperature=0.5, hidden_dim=16, projection_dim=4), simclr),
    "moco_v2": (
        lambda: MoCoV2(encoder(), hidden_dim=16, projection_dim=4, queue_length=32, momentum=0.9, norm_groups=1),
        moco_v2,
    ),
    "byol": (lambda: BYOL(encoder(), hidden_dim=16, projection_dim=4, momentum=0.9), byol),
    "dino": (
        lambda: DINO(
            encoder(),
            num_prototypes=12,
            hidden_dim=16,
            bottleneck_dim=4,
            momentum=0.9,
            frozen_share=FROZEN / STEPS,
        ),
        dino,
    ),
}


def batches(name: str) -> list[Batch]:
    shapes = {"view_1": (BATCH, 3, 16, 16), "view_2": (BATCH, 3, 16, 16)}
    if name == "dino":
        shapes = {"global": (BATCH, 2, 3, 16, 16), "local": (BATCH, 3, 3, 8, 8)}
    return [{key: torch.rand(shape) for key, shape in shapes.items()} for _ in range(STEPS)]


@pytest.fixture(autouse=True)
def _float64(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Losses turn what they are given into float32, which here is float64."""
    monkeypatch.setattr(Tensor, "float", Tensor.double)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("name", PAIRS)
def test_losses_and_weights_stay_together(name: str) -> None:
    make, counterpart = PAIRS[name]
    objective = make().double().train()
    theirs = counterpart(objective)
    mine = [parameter for parameter in objective.parameters() if parameter.requires_grad]
    start = [parameter.detach().clone() for parameter in mine]
    assert [value.shape for value in mine] == [value.shape for value in theirs.parameters]
    optimizers = [SGD(parameters, lr=0.05, momentum=0.9, weight_decay=1e-3) for parameters in (mine, theirs.parameters)]
    for number, batch in enumerate(batches(name)):
        output = objective(batch)
        other = theirs.step(batch, number)
        assert_close(output["loss"], other, atol=1e-10, rtol=1e-10)
        for optimizer, loss in zip(optimizers, (output["loss"], other), strict=True):
            optimizer.zero_grad()
            loss.backward()
        theirs.frozen(number)
        for optimizer in optimizers:
            optimizer.step()
        objective.after_step(output, progress=(number + 1) / STEPS)
    for value, other, before in zip(mine, theirs.parameters, start, strict=True):
        assert (value - other).norm() <= 1e-9 * (value - before).norm()
