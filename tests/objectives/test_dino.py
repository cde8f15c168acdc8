import math

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize
from torch.testing import assert_close

from mmssl.functional.distillation import dino_cross_entropy
from mmssl.models.small_resnet import SmallResNet
from mmssl.models.timm_encoder import TimmEncoder
from mmssl.objectives.dino import DINO

BATCH = {"global": torch.rand(4, 2, 3, 32, 32), "local": torch.rand(4, 3, 3, 16, 16)}


def dino(**settings: object) -> DINO:
    chosen = {"num_prototypes": 12, "hidden_dim": 10, "bottleneck_dim": 5} | settings
    return DINO(SmallResNet(width=4, feature_dim=6), **chosen)  # type: ignore[arg-type]


def test_the_teacher_is_a_copy_of_the_student_and_gets_no_gradient() -> None:
    objective = dino()
    images = BATCH["global"][:, 0]
    assert torch.equal(objective.teacher(images), objective.head(objective.encoder(images)))
    objective(BATCH)["loss"].backward()
    assert all(parameter.grad is None for parameter in objective.teacher.parameters())


def test_the_loss_compares_every_crop_with_the_large_ones() -> None:
    objective = dino(batchnorm=True).eval()
    objective.center.normal_()
    student = nn.Sequential(objective.encoder, objective.head)
    crops = [*BATCH["global"].unbind(1), *BATCH["local"].unbind(1)]
    teacher = torch.stack([objective.teacher(crop) for crop in crops[:2]])
    wanted = dino_cross_entropy(
        torch.stack([student(crop) for crop in crops]),
        teacher,
        objective.center,
        student_temperature=0.1,
        teacher_temperature=0.04,
    )
    output = objective(BATCH)
    assert_close(output["loss"], wanted)
    assert_close(output["answers"], teacher.mean(0))
    assert 0 < output["answer_entropy"] < math.log(12)


def test_the_center_moves_after_it_was_used() -> None:
    objective = dino()
    output = objective(BATCH)
    assert objective.center.abs().max() == 0
    objective.after_step(output, progress=0.1)
    assert_close(objective.center, 0.1 * output["answers"].mean(0))
    second = objective(BATCH)
    objective.after_step(second, progress=0.2)
    assert_close(objective.center, 0.09 * output["answers"].mean(0) + 0.1 * second["answers"].mean(0))
    assert "center" in objective.state_dict()


def test_the_last_layer_is_directions_alone_and_frozen_at_first() -> None:
    objective = dino(frozen_share=0.25)
    images = BATCH["global"][:, 0]
    before = objective.head(objective.encoder.eval()(images))
    with torch.no_grad():
        objective.head.last.weight *= torch.rand(12, 1) + 0.5
    assert_close(objective.head(objective.encoder(images)), before)
    assert before.abs().max() <= 1
    objective(BATCH)["loss"].backward()
    assert objective.head.last.weight.grad is None
    assert objective.head.layers[0].weight.grad is not None
    for progress, frozen in ((0.2, True), (0.25, False)):
        objective.after_step(objective(BATCH), progress=progress)
        objective.zero_grad()
        objective(BATCH)["loss"].backward()
        assert (objective.head.last.weight.grad is None) == frozen


def test_scores_are_not_rounded_where_networks_are() -> None:
    head, embeddings = dino().head, torch.randn(4, 6)
    with torch.autocast("cpu", torch.bfloat16):
        scores, hidden = head(embeddings), head.layers(embeddings)
    assert hidden.dtype == torch.bfloat16
    assert_close(scores, normalize(hidden.float(), dim=1) @ normalize(head.last.weight, dim=1).T, rtol=0, atol=1e-6)


def test_the_teachers_temperature_warms_up_and_its_momentum_rises() -> None:
    objective = dino(teacher_temperature=0.08, first_teacher_temperature=0.04, warmup_share=0.5, momentum=0.9)
    temperatures = [objective._teacher_temperature(done) for done in (0.0, 0.25, 0.5, 1.0)]
    assert temperatures == pytest.approx([0.04, 0.06, 0.08, 0.08])
    output = objective(BATCH)
    start = objective.teacher.network[1].last.weight.clone()
    with torch.no_grad():
        objective.head.last.weight += 1
    objective.after_step(output, progress=0.5)
    assert_close(objective.teacher.network[1].last.weight, start + 0.05)
    objective.after_step(output, progress=1.0)
    assert_close(objective.teacher.network[1].last.weight, start + 0.05)


def test_small_crops_may_be_left_out() -> None:
    without = {"global": BATCH["global"], "local": torch.empty(4, 0, 3, 16, 16)}
    assert torch.isfinite(dino()(without)["loss"])


def test_trains_a_transformer_on_crops_of_two_sizes() -> None:
    encoder = TimmEncoder(model="test_vit")
    objective = DINO(encoder, num_prototypes=8, hidden_dim=8, bottleneck_dim=4)
    loss = objective(BATCH)["loss"]
    loss.backward()
    missing = [name for name, parameter in encoder.named_parameters() if parameter.grad is None]
    assert missing == []
