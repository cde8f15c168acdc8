import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from mmssl.functional.redundancy import barlow_twins, vicreg


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def covariance(x: list[float], y: list[float], divisor: int) -> float:
    return sum((p - mean(x)) * (q - mean(y)) for p, q in zip(x, y, strict=True)) / divisor


def barlow_by_loops(a: Tensor, b: Tensor, weight: float) -> float:
    total, items = 0.0, len(a)
    for i, x in enumerate(a.T.tolist()):
        for j, y in enumerate(b.T.tolist()):
            correlation = covariance(x, y, items) / math.sqrt(covariance(x, x, items) * covariance(y, y, items))
            total += (1 - correlation) ** 2 if i == j else weight * correlation**2
    return total


def vicreg_by_loops(a: Tensor, b: Tensor) -> float:
    dim, fewer = a.shape[1], len(a) - 1
    invariance = mean([(x - y) ** 2 for x, y in zip(a.flatten().tolist(), b.flatten().tolist(), strict=True)])
    variance = covariances = 0.0
    for view in (a.T.tolist(), b.T.tolist()):
        for i, x in enumerate(view):
            variance += max(0.0, 1 - math.sqrt(covariance(x, x, fewer) + 1e-4)) / dim / 2
            covariances += sum(covariance(x, y, fewer) ** 2 for j, y in enumerate(view) if j != i) / dim
    return 25 * invariance + 25 * variance + covariances


def test_losses_match_loops() -> None:
    a, b = torch.randn(7, 4).double(), torch.randn(7, 4).double()
    assert barlow_twins(a, b, redundancy_weight=0.1).item() == pytest.approx(barlow_by_loops(a, b, 0.1), rel=1e-4)
    assert vicreg(0.3 * a, 0.3 * b).item() == pytest.approx(vicreg_by_loops(0.3 * a, 0.3 * b), rel=1e-5)


def test_known_values() -> None:
    independent = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    assert barlow_twins(independent, independent).item() == pytest.approx(0.0, abs=1e-8)
    assert barlow_twins(independent, -independent).item() == pytest.approx(8.0, rel=1e-4)
    assert vicreg(independent, independent).item() == 0.0
    collapsed = torch.zeros(4, 2)
    assert vicreg(collapsed, collapsed).item() == pytest.approx(25 * 0.99)


@pytest.mark.parametrize("loss", [barlow_twins, vicreg])
def test_covariances_are_not_rounded_where_networks_are(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    a, b = torch.randn(8, 5), torch.randn(8, 5)
    exact = loss(a, b)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(loss(a, b), exact)


def test_order_of_items_views_and_dimensions_does_not_matter() -> None:
    a, b = torch.randn(8, 5), torch.randn(8, 5)
    items, dims = torch.randperm(8), torch.randperm(5)
    for loss in (barlow_twins, vicreg):
        value = loss(a, b)
        assert_close(loss(b, a), value)
        assert_close(loss(a[items][:, dims], b[items][:, dims]), value)
    assert_close(barlow_twins(3 * a + 1, 0.5 * b - 2), barlow_twins(a, b), atol=1e-3, rtol=1e-3)


def test_equal_embeddings_have_finite_gradients_and_one_item_is_refused() -> None:
    for loss in (barlow_twins, vicreg):
        a = torch.ones(4, 3, requires_grad=True)
        loss(a, torch.ones(4, 3)).backward()
        assert a.grad is not None
        assert torch.isfinite(a.grad).all()
    with pytest.raises(ValueError, match="at least 2"):
        vicreg(torch.ones(1, 3), torch.ones(1, 3))
