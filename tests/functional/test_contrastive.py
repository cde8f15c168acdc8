import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from mmssl.functional.contrastive import info_nce, nt_xent


def cosine(a: Tensor, b: Tensor) -> float:
    return (a @ b / (a.norm() * b.norm())).item()


def info_nce_by_loops(queries: Tensor, keys: Tensor, temperature: float) -> float:
    losses = []
    for i, query in enumerate(queries):
        scores = [math.exp(cosine(query, key) / temperature) for key in keys]
        losses.append(-math.log(scores[i] / sum(scores)))
    return sum(losses) / len(losses)


def nt_xent_by_loops(a: Tensor, b: Tensor, temperature: float) -> float:
    everyone = [*a, *b]
    losses = []
    for i, one in enumerate(everyone):
        scores = {j: math.exp(cosine(one, other) / temperature) for j, other in enumerate(everyone) if j != i}
        losses.append(-math.log(scores[(i + len(a)) % len(everyone)] / sum(scores.values())))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_losses_match_loops(temperature: float) -> None:
    a, b = torch.randn(6, 4).double(), torch.randn(6, 4).double()
    assert info_nce(a, b, temperature=temperature).item() == pytest.approx(
        info_nce_by_loops(a, b, temperature), rel=1e-4
    )
    assert nt_xent(a, b, temperature=temperature).item() == pytest.approx(nt_xent_by_loops(a, b, temperature), rel=1e-4)


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_known_values_for_equal_embeddings(batch: int) -> None:
    same = torch.ones(batch, 3)
    assert_close(info_nce(same, same, temperature=0.1).item(), math.log(batch), atol=1e-5, rtol=0)
    assert_close(nt_xent(same, same, temperature=0.1).item(), math.log(2 * batch - 1), atol=1e-5, rtol=0)


def test_order_of_items_views_and_scale_do_not_matter() -> None:
    a, b = torch.randn(8, 5), torch.randn(8, 5)
    loss, order = nt_xent(a, b, temperature=0.2), torch.randperm(8)
    assert_close(nt_xent(a[order], b[order], temperature=0.2), loss)
    assert_close(nt_xent(b, a, temperature=0.2), loss)
    assert_close(nt_xent(3 * a, 0.1 * b, temperature=0.2), loss)
    assert_close(info_nce(a[order], b[order], temperature=0.2), info_nce(a, b, temperature=0.2))


def test_ranks_losses_average_to_the_loss_of_the_whole_batch() -> None:
    a, b = torch.randn(6, 4), torch.randn(6, 4)
    parts = [
        nt_xent(a[start : start + 2], b[start : start + 2], temperature=0.3, all_a=a, all_b=b, offset=start)
        for start in (0, 2, 4)
    ]
    assert_close(torch.stack(parts).mean(), nt_xent(a, b, temperature=0.3))


def test_small_temperature_and_zero_embeddings_stay_finite() -> None:
    a, b = torch.randn(4, 3, requires_grad=True), torch.zeros(4, 3, requires_grad=True)
    loss = nt_xent(a, b, temperature=1e-3)
    loss.backward()
    for value in (loss, a.grad, b.grad):
        assert value is not None
        assert torch.isfinite(value).all()


def test_refuses_bad_arguments() -> None:
    a = torch.randn(2, 3)
    for temperature in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="temperature"):
            info_nce(a, a, temperature=temperature)
        with pytest.raises(ValueError, match="temperature"):
            nt_xent(a, a, temperature=temperature)
    with pytest.raises(ValueError, match="together"):
        nt_xent(a, a, temperature=1.0, all_a=a)
