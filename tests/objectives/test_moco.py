import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

from mmssl.models.small_resnet import SmallResNet
from mmssl.objectives.moco import MoCoV1, MoCoV2
from mmssl.objectives.objective import Objective

BATCH = {"view_1": torch.rand(6, 3, 16, 16), "view_2": torch.rand(6, 3, 16, 16)}


def moco(kind: type[Objective] = MoCoV2, **settings: object) -> Objective:
    chosen = {"queue_length": 10, "projection_dim": 5} | settings
    return kind(SmallResNet(width=4, feature_dim=6), **chosen)


def test_heads_are_those_of_v1_and_v2() -> None:
    assert [type(layer) for layer in moco(MoCoV1).head] == [nn.Linear]
    assert [type(layer) for layer in moco(MoCoV2).head] == [nn.Linear, nn.ReLU, nn.Linear]


@pytest.mark.parametrize("kind", [MoCoV1, MoCoV2])
def test_the_teacher_equals_the_student_at_first(kind: type[Objective]) -> None:
    objective = moco(kind, norm_groups=1)
    queries = objective.head(objective.encoder(BATCH["view_1"]))
    assert torch.equal(objective.teacher(BATCH["view_1"]), queries)


def test_the_queue_excludes_the_current_positives_until_the_step_is_done() -> None:
    objective = moco(temperature=0.3)
    before = objective.queue.keys.clone()
    output = objective(BATCH)
    assert torch.equal(objective.queue.keys, before)
    keys = functional.normalize(output["keys"], dim=1)
    assert (keys @ before.T).max() < 1 - 1e-4, "a key of this batch is among its negatives"
    objective.after_step(output, progress=0.5)
    assert_close(objective.queue.keys[:6], keys)
    assert torch.equal(objective.queue.keys[6:], before[6:])


def test_the_loss_is_that_of_a_key_among_the_queue() -> None:
    objective = moco(temperature=0.3).eval()
    queries = functional.normalize(objective.head(objective.encoder(BATCH["view_1"])), dim=1)
    keys = functional.normalize(objective.teacher(BATCH["view_2"]), dim=1)
    terms = [
        -torch.log_softmax(torch.cat((key[None], objective.queue.keys)) @ query / 0.3, dim=0)[0]
        for query, key in zip(queries, keys, strict=True)
    ]
    assert_close(objective(BATCH)["loss"], torch.stack(terms).mean())


def test_symmetric_adds_the_losses_of_both_ways_and_enqueues_both_views() -> None:
    objective = moco(symmetric=True, queue_length=20, norm_groups=1).eval()
    swapped = {"view_1": BATCH["view_2"], "view_2": BATCH["view_1"]}
    output = objective(BATCH)
    objective.symmetric = False
    there, back = objective(BATCH), objective(swapped)
    assert_close(output["loss"], there["loss"] + back["loss"])
    assert_close(output["accuracy"], (there["accuracy"] + back["accuracy"]) / 2)
    objective.after_step(output, progress=0.5)
    keys = functional.normalize(torch.cat((there["keys"], back["keys"])), dim=1)
    assert_close(objective.queue.keys[:12], keys)


def test_the_key_encoder_moves_by_momentum_and_gets_no_gradient() -> None:
    objective = moco(momentum=0.75)
    output = objective(BATCH)
    output["loss"].backward()
    assert all(parameter.grad is None for parameter in objective.teacher.parameters())
    start = {name: value.clone() for name, value in objective.teacher.named_parameters()}
    with torch.no_grad():
        for parameter in (*objective.encoder.parameters(), *objective.head.parameters()):
            parameter += 1
    objective.after_step(output, progress=0.5)
    for name, value in objective.teacher.named_parameters():
        assert_close(value, start[name] + 0.25)


def test_queue_and_teacher_are_in_the_state() -> None:
    names = set(moco().state_dict())
    assert {"queue.keys", "queue.position"} <= names
    student = {name for name in names if name.startswith("encoder.")}
    assert {f"teacher.network.0{name.removeprefix('encoder')}" for name in student} <= names


def test_the_saved_encoder_has_plain_names() -> None:
    assert set(moco(norm_groups=4).encoder.state_dict()) == set(SmallResNet(width=4, feature_dim=6).state_dict())
