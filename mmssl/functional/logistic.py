"""Multinomial logistic regression on features that stay as they are."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy, linear


@dataclass(frozen=True)
class LinearClassifier:
    """A score for each class, linear in the features.

    Args:
        weight: Of each class and feature.
        bias: Of each class.
    """

    weight: Float[Tensor, "classes dim"]
    bias: Float[Tensor, " classes"]

    def scores(self, features: Float[Tensor, "items dim"]) -> Float[Tensor, "items classes"]:
        """Logits: their softmax is the probability of each class."""
        return linear(features, self.weight, self.bias)


def fit_logistic(
    features: Float[Tensor, "items dim"],
    targets: Int[Tensor, " items"] | Float[Tensor, "items classes"],
    *,
    num_classes: int,
    l2: float,
    start: LinearClassifier | None = None,
    max_iterations: int = 300,
) -> LinearClassifier:
    """Minimizes the mean cross-entropy plus `l2 / 2` times the squared weights, the bias left out, by L-BFGS.

    Computes in the precision and on the device of the features. scikit-learn's `C` is 1 / (l2 x items).

    Args:
        features: At least one row; standardise them, so that one penalty suits all of them.
        targets: Class numbers, or the probability of each class.
        num_classes: Classes to tell apart; one without an item only loses score.
        l2: Strength of the penalty; >= 0.
        start: Where to begin; zeros where not given.
        max_iterations: Rounds of L-BFGS; it stops before where the gradient has vanished.

    Raises:
        ValueError: If there is no item, or l2 is negative.

    Source:
        Liu and Nocedal 1989, "On the limited memory BFGS method for large scale optimization".
    """
    if len(features) == 0 or l2 < 0:
        raise ValueError(f"cannot fit {len(features)} items with l2 {l2}; there must be one at least, and l2 >= 0")
    shape = (num_classes, features.shape[1])
    weight = features.new_zeros(shape) if start is None else start.weight.detach().clone()
    bias = features.new_zeros(num_classes) if start is None else start.bias.detach().clone()
    parameters = [weight.requires_grad_(), bias.requires_grad_()]
    optimizer = torch.optim.LBFGS(
        parameters,
        max_iter=max_iterations,
        max_eval=2 * max_iterations,
        tolerance_grad=1e-6,
        tolerance_change=1e-9,
        history_size=10,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = cross_entropy(linear(features, weight, bias), targets) + l2 / 2 * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    with torch.enable_grad():
        optimizer.step(loss)  # type: ignore[no-untyped-call]
    return LinearClassifier(weight.detach(), bias.detach())
