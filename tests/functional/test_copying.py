import math

import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from mmssl.functional.affinity import propagate
from mmssl.functional.copying import attend, attention


@pytest.mark.parametrize("radius", [None, 0, 1, 5])
def test_attend_matches_loops(radius: int | None) -> None:
    query, keys, values = torch.randn(2, 4, 2, 3), torch.randn(2, 3, 4, 2, 3), torch.randn(2, 3, 5, 2, 3)
    copied = attend(query, keys, values, temperature=0.7, radius=radius)
    for item, y, x in torch.cartesian_prod(torch.arange(2), torch.arange(2), torch.arange(3)).tolist():
        weights, weighted = 0.0, torch.zeros(5)
        for frame, i, j in torch.cartesian_prod(torch.arange(3), torch.arange(2), torch.arange(3)).tolist():
            if radius is not None and max(abs(i - y), abs(j - x)) > radius:
                continue
            weight = math.exp((query[item, :, y, x] @ keys[item, frame, :, i, j]).item() / 0.7)
            weights += weight
            weighted += weight * values[item, frame, :, i, j]
        assert_close(copied[item, :, y, x], weighted / weights)


@pytest.mark.parametrize("radius", [None, 1])
def test_attention_holds_the_weights_of_attend(radius: int | None) -> None:
    query, keys, values = torch.randn(2, 4, 3, 5), torch.randn(2, 3, 4, 3, 5), torch.randn(2, 3, 2, 3, 5)
    cells = torch.tensor([[0, 4], [2, 1]])
    weights = attention(query, keys, cells=cells, temperature=0.7, radius=radius)
    assert_close(weights.sum((1, 2, 3)), torch.ones(2))
    copied = attend(query, keys, values, temperature=0.7, radius=radius)
    expected = torch.stack([copied[0, :, 0, 4], copied[1, :, 2, 1]])
    assert_close(torch.einsum("bchw,bcvhw->bv", weights, values), expected)


def test_equal_features_give_the_mean_value() -> None:
    values = torch.randn(1, 2, 3, 4, 5)
    copied = attend(torch.ones(1, 6, 4, 5), torch.ones(1, 2, 6, 4, 5), values, temperature=1.0)
    assert_close(copied, values.mean((1, 3, 4))[:, :, None, None].expand(1, 3, 4, 5))


def test_propagate_with_everything_in_sight_is_the_same_copying() -> None:
    query, keys, values = torch.randn(6, 4, 5), torch.randn(3, 6, 4, 5), torch.rand(3, 2, 4, 5)
    propagated = propagate(query, keys, values, radius=5, top_k=60, temperature=0.3)
    copied = attend(
        functional.normalize(query, dim=0)[None], functional.normalize(keys, dim=1)[None], values[None], temperature=0.3
    )
    assert_close(propagated, copied[0], atol=1e-5, rtol=1e-4)


def test_gradient_reaches_query_and_keys() -> None:
    query = torch.randn(1, 3, 2, 2, requires_grad=True)
    keys = torch.randn(1, 2, 3, 2, 2, requires_grad=True)
    values = torch.rand(1, 2, 4, 2, 2)
    attend(query, keys, values, temperature=0.5).square().sum().backward()
    for gradient in (query.grad, keys.grad):
        assert gradient is not None
        assert torch.isfinite(gradient).all()
        assert gradient.abs().sum() > 0


def test_refuses_a_temperature_that_is_not_positive() -> None:
    with pytest.raises(ValueError, match="temperature"):
        attend(torch.ones(1, 1, 1, 1), torch.ones(1, 1, 1, 1, 1), torch.ones(1, 1, 1, 1, 1), temperature=0.0)
    with pytest.raises(ValueError, match="radius"):
        attend(torch.ones(1, 1, 1, 1), torch.ones(1, 1, 1, 1, 1), torch.ones(1, 1, 1, 1, 1), temperature=1.0, radius=-1)
