"""Known values of the measures of collapse."""

import pytest
import torch

from mmssl.functional.collapse import effective_rank, embedding_spread


def test_spread_is_zero_for_one_point_and_one_for_all_directions() -> None:
    assert embedding_spread(torch.tensor([[3.0, 4.0]] * 5) * torch.arange(1, 6)[:, None]).item() == pytest.approx(
        0, abs=1e-6
    )
    assert embedding_spread(torch.randn(4000, 16)).item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("rank", [1, 2, 5])
def test_effective_rank_of_equal_directions_is_their_number(rank: int) -> None:
    assert effective_rank(torch.eye(8)[:rank].repeat(3, 1)).item() == pytest.approx(rank, rel=1e-3)


def test_effective_rank_does_not_depend_on_scale() -> None:
    embeddings = torch.randn(10, 6)
    torch.testing.assert_close(effective_rank(embeddings), effective_rank(100 * embeddings))
