import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from mmssl.functional.dense_contrastive import dense_info_nce


def by_loops(queries: Tensor, keys: Tensor, matches: Tensor, temperature: float, offset: int) -> float:
    """One query cell at a time against every key cell."""
    items = []
    for item, image in enumerate(queries):
        surprises = []
        for cell, match in zip(image, matches[item].tolist(), strict=True):
            if match < 0:
                continue
            weights = {
                (other, place): math.exp(torch.cosine_similarity(cell, key, dim=0).item() / temperature)
                for other, cells in enumerate(keys)
                for place, key in enumerate(cells)
            }
            surprises.append(-math.log(weights[item + offset, match] / sum(weights.values())))
        items.append(sum(surprises) / len(surprises) if surprises else 0.0)
    return sum(items) / len(items)


def some_cells() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    queries = torch.randn(3, 4, 6, generator=generator)
    keys = torch.randn(5, 7, 6, generator=generator)
    return queries, keys, torch.tensor([[0, 6, -1, 2], [-1, -1, 3, -1], [-1, -1, -1, -1]])


def test_matches_loops() -> None:
    queries, keys, matches = some_cells()
    for offset in (0, 2):
        found = dense_info_nce(queries, keys, matches, temperature=0.3, offset=offset)
        assert found.item() == pytest.approx(by_loops(queries, keys, matches, 0.3, offset), abs=1e-5)


def test_equal_features_choose_evenly() -> None:
    matches = torch.arange(4).expand(2, -1)
    loss = dense_info_nce(torch.ones(2, 4, 3), torch.ones(6, 4, 3), matches, temperature=0.1)
    assert loss.item() == pytest.approx(math.log(24))


def test_order_of_the_keys_does_not_matter() -> None:
    queries, keys, matches = some_cells()
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    moved = torch.where(matches >= 0, order.argsort()[matches.clamp_min(0)], -1)
    assert_close(
        dense_info_nce(queries, keys[:, order], moved, temperature=0.2),
        dense_info_nce(queries, keys, matches, temperature=0.2),
    )


def test_without_any_match_the_loss_is_zero_and_has_a_gradient() -> None:
    queries, keys, _ = some_cells()
    queries.requires_grad_()
    loss = dense_info_nce(queries, keys, torch.full((3, 4), -1), temperature=0.2)
    loss.backward()
    assert loss.item() == 0
    assert queries.grad is not None
    assert queries.grad.abs().max() == 0


def test_bad_temperature() -> None:
    with pytest.raises(ValueError, match="temperature must be positive"):
        dense_info_nce(*some_cells(), temperature=0.0)
