"""Optimizers, which parameters decay, and the course of the learning rate."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from mmssl.config import Choice
from mmssl.errors import ConfigError


class LARS(Optimizer):
    """SGD whose step on each weight matrix is scaled by the ratio of the weight's norm to the gradient's.

    Parameters of one dimension or none (biases, gains of norms) are not scaled: their step is that of SGD, whatever the
    weight decay is.

    Args:
        parameters: Parameters or groups of them.
        lr: Learning rate.
        weight_decay: Added to the gradient as `weight_decay * parameter`, before the norms are taken.
        momentum: Share of the last step that is repeated.
        trust: Ratio of step to weight where the learning rate is 1.
        momentum_holds_lr: Whether the momentum buffer holds steps that are scaled by the learning rate of their time
            (SimCLR); otherwise it holds gradients, and the present learning rate scales all of them.

    Source:
        You, Gitman and Ginsburg 2017, arXiv:1708.03888, algorithm 1; Chen et al. 2020, arXiv:2002.05709, for momentum.
    """

    def __init__(
        self,
        parameters: Iterable[Any],
        *,
        lr: float,
        weight_decay: float = 0.0,
        momentum: float = 0.9,
        trust: float = 1e-3,
        momentum_holds_lr: bool = True,
    ) -> None:
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "trust": trust}
        super().__init__(parameters, defaults)
        self._momentum_holds_lr = momentum_holds_lr

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Moves each parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, group)

    def _move(self, parameter: Tensor, group: dict[str, Any]) -> None:
        change = parameter.grad + group["weight_decay"] * parameter
        if parameter.ndim > 1:
            weight_norm, change_norm = parameter.norm(), change.norm()
            usable = (weight_norm > 0) & (change_norm > 0)
            change = change * torch.where(usable, group["trust"] * weight_norm / change_norm, 1.0)
        if self._momentum_holds_lr:
            change = change * group["lr"]
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].mul_(group["momentum"]).add_(change)
        parameter.sub_(state["momentum"] if self._momentum_holds_lr else group["lr"] * state["momentum"])


def parameter_groups(
    module: nn.Module, *, weight_decay: float, lr: float | None = None, rates: Mapping[str, float] | None = None
) -> list[dict[str, Any]]:
    """The parameters under training in groups: of each learning rate, weights, which decay, and biases and gains of norms.

    Args:
        module: Holds them.
        weight_decay: Of weights.
        lr: Learning rate that `rates` are shares of.
        rates: Share of the learning rate by a part's name, such as `encoder.text`; 1 elsewhere.

    Raises:
        ConfigError: If no part under training bears a name.
    """
    trained = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
    groups: list[dict[str, Any]] = []
    for part, rate in (rates or {}).items():
        own = [name for name in trained if name == part or name.startswith(f"{part}.")]
        if not own:
            raise ConfigError(f"rates: nothing under training is named {part!r}; parts are {_parts(trained)}")
        assert lr is not None
        groups += [group | {"lr": lr * rate} for group in _by_decay([trained.pop(name) for name in own], weight_decay)]
    return _by_decay(trained.values(), weight_decay) + groups


def _by_decay(parameters: Iterable[Tensor], weight_decay: float) -> list[dict[str, Any]]:
    several = list(parameters)
    weights, others = ([each for each in several if (each.ndim > 1) is wide] for wide in (True, False))
    groups = [{"params": weights, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def _parts(names: Iterable[str]) -> list[str]:
    """The first two words of names, once each."""
    return sorted({".".join(name.split(".")[:2]) for name in names})


def adamw(
    module: nn.Module,
    *,
    lr: float = 1e-3,
    weight_decay: float = 0.05,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    rates: dict[str, float] | None = None,
) -> Optimizer:
    """AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101); biases and gains of norms do not decay.

    `rates` are shares of the learning rate by the name of a part, such as `encoder.text`.
    """
    return AdamW(parameter_groups(module, weight_decay=weight_decay, lr=lr, rates=rates), lr=lr, betas=betas, eps=eps)


def sgd(
    module: nn.Module, *, lr: float, weight_decay: float = 1e-4, momentum: float = 0.9, nesterov: bool = False
) -> Optimizer:
    """SGD with momentum; biases and gains of norms do not decay."""
    return SGD(parameter_groups(module, weight_decay=weight_decay), lr=lr, momentum=momentum, nesterov=nesterov)


def lars(
    module: nn.Module,
    *,
    lr: float,
    bias_lr: float | None = None,
    weight_decay: float = 1e-6,
    momentum: float = 0.9,
    trust: float = 1e-3,
    momentum_holds_lr: bool = True,
) -> Optimizer:
    """LARS; biases and gains of norms neither decay nor have their steps adapted.

    Args:
        module: To train.
        lr: See `LARS`, like all that follow but `bias_lr`.
        bias_lr: Learning rate of biases and gains of norms; `lr` where not given. Their steps grow with the loss, so that a
            loss of thousands, such as that of Barlow Twins (Zbontar et al. 2021, arXiv:2103.03230, section 2.2), needs a
            smaller one.
        weight_decay: Of weights.
        momentum: Of all steps.
        trust: Of weights.
        momentum_holds_lr: Of all steps.
    """
    groups = parameter_groups(module, weight_decay=weight_decay)
    if bias_lr is not None:
        for group in groups:
            if group["params"][0].ndim <= 1:
                group["lr"] = bias_lr
    return LARS(
        groups,
        lr=lr,
        momentum=momentum,
        trust=trust,
        momentum_holds_lr=momentum_holds_lr,
    )


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"adamw": adamw, "sgd": sgd, "lars": lars}
OPTIMIZER_CHOICE = Choice(OPTIMIZERS, "optimizer", provided=("module",))


def learning_rate_factor(step: int, *, num_steps: int, warmup_steps: int, schedule: str) -> float:
    """What the optimizer's learning rate is multiplied by in a step.

    Args:
        step: From 0.
        num_steps: Of the whole training.
        warmup_steps: The factor rises in a straight line over so many steps, the last of which has 1.
        schedule: `cosine` falls from 1 towards 0 after the warm-up (it would be 0 in the step after the last);
            `constant` stays at 1.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if schedule == "constant":
        return 1.0
    return 0.5 * (1.0 + math.cos(math.pi * (step - warmup_steps) / max(1, num_steps - warmup_steps)))


def weight_decay_at(step: int, *, num_steps: int, first: float, last: float) -> float:
    """Weight decay of a step, which goes from `first` towards `last` along half a cosine.

    Source:
        Caron et al. 2021 (DINO), arXiv:2104.14294, section 3.2.
    """
    return last + (first - last) * 0.5 * (1.0 + math.cos(math.pi * step / num_steps))
