import itertools

import pytest
import torch
from torch import Tensor

from mmssl.functional import affinity_each_frame
from mmssl.functional.affinity_each_frame import propagate_each_frame


def slowly(query: Tensor, keys: Tensor, values: Tensor, top_k: int, temperature: float) -> Tensor:
    """Every cell against every cell of every frame, one after the other."""
    _, height, width = query.shape
    out = torch.zeros(values.shape[1], height, width)
    for y, x in itertools.product(range(height), range(width)):
        for key, value in zip(keys, values, strict=True):
            places = list(itertools.product(range(height), range(width)))
            products = torch.stack([query[:, y, x] @ key[:, i, j] / temperature for i, j in places])
            weights = products.exp() / products.exp().sum()
            ranked = sorted(zip(weights.tolist(), places, strict=True), reverse=True)[:top_k]
            out[:, y, x] += sum(weight * value[:, i, j] for weight, (i, j) in ranked) / len(keys)
    return out


@pytest.mark.parametrize(("shape", "top_k"), [((4, 3, 2, 5, 6), 5), ((3, 1, 1, 1, 1), 5), ((2, 2, 3, 3, 2), 100)])
def test_matches_loops(shape: tuple[int, ...], top_k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    dim, context, channels, height, width = shape
    query, keys = torch.randn(dim, height, width), torch.randn(context, dim, height, width)
    values = torch.rand(context, channels, height, width)
    wanted = slowly(query, keys, values, top_k, 0.7)
    for workspace in (2**26, 1):
        monkeypatch.setattr(affinity_each_frame, "WORKSPACE_BYTES", workspace)
        got = propagate_each_frame(query, list(keys), list(values), top_k=top_k, temperature=0.7)
        torch.testing.assert_close(got, wanted, rtol=0, atol=1e-5)


def test_known_value() -> None:
    """Two cells whose products are 1 and 0: the softmax over both comes before the top-1."""
    query = torch.tensor([[[1.0, 1.0]]])
    key, value = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[10.0, 20.0]]])
    got = propagate_each_frame(query, [key], [value], top_k=1, temperature=1.0)
    torch.testing.assert_close(got, torch.full((1, 1, 2), 10 * torch.tensor(1.0).sigmoid().item()))


def test_order_of_frames_does_not_matter() -> None:
    query, keys, values = torch.randn(4, 5, 5), torch.randn(3, 4, 5, 5), torch.rand(3, 2, 5, 5)
    got = propagate_each_frame(query, list(keys), list(values), top_k=3, temperature=1.0)
    order = [2, 0, 1]
    other = propagate_each_frame(query, list(keys[order]), list(values[order]), top_k=3, temperature=1.0)
    torch.testing.assert_close(got, other)


def test_refuses_settings_out_of_range() -> None:
    cell = torch.zeros(1, 1, 1)
    with pytest.raises(ValueError, match="at least one"):
        propagate_each_frame(cell, [], [], top_k=1, temperature=1.0)
    with pytest.raises(ValueError, match="top_k"):
        propagate_each_frame(cell, [cell], [cell], top_k=0, temperature=1.0)
