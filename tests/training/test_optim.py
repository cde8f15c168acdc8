"""Optimizers against their formulas written out."""

import math

import pytest
import torch
from torch import nn

from mmssl.config import build
from mmssl.errors import ConfigError
from mmssl.training.optim import (
    LARS,
    OPTIMIZER_CHOICE,
    OPTIMIZERS,
    learning_rate_factor,
    parameter_groups,
    weight_decay_at,
)


def make_net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3, 2))


def test_biases_and_norms_do_not_decay() -> None:
    net = make_net()
    net[3].bias.requires_grad_(False)
    decayed, others = parameter_groups(net, weight_decay=0.3)
    assert [id(p) for p in decayed["params"]] == [id(net[0].weight), id(net[3].weight)]
    assert [id(p) for p in others["params"]] == [id(net[0].bias), id(net[1].weight), id(net[1].bias)]
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.3, 0.0)


def test_parts_may_learn_at_a_share_of_the_rate() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)))
    optimizer = build({"name": "adamw", "lr": 0.2, "rates": {"1.0": 0.1}}, OPTIMIZER_CHOICE, module=net)
    found = {id(each): group["lr"] for group in optimizer.param_groups for each in group["params"]}
    wanted = {name: 0.02 if name.startswith("1.0.") else 0.2 for name, _ in net.named_parameters()}
    assert {name: found[id(each)] for name, each in net.named_parameters()} == pytest.approx(wanted)
    assert optimizer.param_groups[0]["lr"] == 0.2, "the rate that the log shows"
    with pytest.raises(ConfigError, match=r"nothing under training is named 'head'.*'1\.1'"):
        build({"name": "adamw", "rates": {"head": 0.1}}, OPTIMIZER_CHOICE, module=net)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_optimizer_is_built_from_a_recipe_and_descends(name: str) -> None:
    net = make_net()
    x = torch.randn(8, 2, 2, 2)
    optimizer = build(
        {"name": name, "lr": 0.05} | ({"trust": 0.1} if name == "lars" else {}), OPTIMIZER_CHOICE, module=net
    )
    losses = []
    for _ in range(30):
        loss = (net(x) - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("holds", [True, False])
def test_lars_follows_the_formula_by_plain_numbers(weight_decay: float, holds: bool) -> None:
    weight = nn.Parameter(torch.tensor([[3.0, 4.0]], dtype=torch.float64))
    bias = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    groups = [{"params": [weight], "weight_decay": weight_decay}, {"params": [bias], "weight_decay": 0.0}]
    optimizer = LARS(groups, lr=0.0, momentum=0.9, trust=0.02, momentum_holds_lr=holds)
    w, b, w_speed, b_speed = [3.0, 4.0], 2.0, [0.0, 0.0], 0.0
    for lr, gradient, bias_gradient in ((0.5, [1.0, -2.0], 0.3), (0.1, [0.0, 1.0], -0.2), (0.2, [0.5, 0.5], 0.1)):
        weight.grad, bias.grad = torch.tensor([gradient], dtype=torch.float64), torch.tensor([bias_gradient]).double()
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.step()
        full = [g + weight_decay * value for g, value in zip(gradient, w, strict=True)]
        ratio = 0.02 * math.hypot(*w) / math.hypot(*full)
        inside, outside = (lr, 1.0) if holds else (1.0, lr)
        w_speed = [0.9 * v + inside * ratio * g for v, g in zip(w_speed, full, strict=True)]
        b_speed = 0.9 * b_speed + inside * float(bias.grad)
        w = [value - outside * v for value, v in zip(w, w_speed, strict=True)]
        b = b - outside * b_speed
        assert weight[0].tolist() == pytest.approx(w, rel=1e-12)
        assert bias.item() == pytest.approx(b, rel=1e-12)


def test_lars_steps_where_weight_or_gradient_is_zero() -> None:
    weight = nn.Parameter(torch.zeros(1, 2))
    optimizer = LARS([weight], lr=0.5, momentum=0.0)
    weight.grad = torch.tensor([[1.0, 2.0]])
    optimizer.step()
    assert weight.tolist() == [[-0.5, -1.0]]
    weight.grad = torch.zeros(1, 2)
    optimizer.step()
    assert weight.tolist() == [[-0.5, -1.0]]


def test_biases_may_have_a_learning_rate_of_their_own_in_lars() -> None:
    net = make_net()
    before = [parameter.detach().clone() for parameter in net.parameters()]
    optimizer = build({"name": "lars", "lr": 0.5, "bias_lr": 0.01, "trust": 1.0}, OPTIMIZER_CHOICE, module=net)
    for parameter in net.parameters():
        parameter.grad = torch.full_like(parameter, 1e3)
    optimizer.step()
    for parameter, old in zip(net.parameters(), before, strict=True):
        step = (parameter.detach() - old).norm()
        expected = 0.5 * old.norm() if parameter.ndim > 1 else torch.tensor(10.0 * len(parameter) ** 0.5)
        torch.testing.assert_close(step, expected)
    assert [group["lr"] for group in build({"name": "lars", "lr": 0.5}, OPTIMIZER_CHOICE, module=net).param_groups] == [
        0.5,
        0.5,
    ]


def test_lars_does_not_depend_on_the_size_of_the_gradient() -> None:
    results = []
    for scale in (1.0, 1000.0):
        weight = nn.Parameter(torch.ones(2, 2))
        optimizer = LARS([weight], lr=0.5)
        weight.grad = scale * torch.tensor([[1.0, 2.0], [0.0, -1.0]])
        optimizer.step()
        results.append(weight.detach().clone())
    torch.testing.assert_close(*results)


def test_the_learning_rate_rises_then_falls_as_a_cosine() -> None:
    factors = [learning_rate_factor(step, num_steps=10, warmup_steps=4, schedule="cosine") for step in range(10)]
    assert factors[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert factors[4:] == pytest.approx([(1 + math.cos(math.pi * k / 6)) / 2 for k in range(6)])
    constant = [learning_rate_factor(step, num_steps=4, warmup_steps=2, schedule="constant") for step in range(4)]
    assert constant == [0.5, 1.0, 1.0, 1.0]
    assert learning_rate_factor(0, num_steps=4, warmup_steps=0, schedule="cosine") == 1.0


def test_weight_decay_goes_from_the_first_to_the_last_along_half_a_cosine() -> None:
    course = [weight_decay_at(step, num_steps=4, first=0.04, last=0.4) for step in range(4)]
    assert course == pytest.approx([0.4 - 0.36 * (1 + math.cos(math.pi * step / 4)) / 2 for step in range(4)])
    assert course[0] == pytest.approx(0.04)
