"""Known values of the measures of collapse."""

import math

import pytest
import torch

from mmssl.functional.collapse import alignment, collapse_warning, effective_rank, embedding_spread, uniformity


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


def test_alignment_by_hand() -> None:
    a = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    assert alignment(a, a * 3).item() == 0
    assert alignment(a, a.flip(0)).item() == pytest.approx(2)
    assert alignment(a, -a).item() == pytest.approx(4)


def test_uniformity_matches_loops() -> None:
    embeddings = torch.randn(7, 4)
    unit = embeddings / embeddings.norm(dim=1, keepdim=True)
    values = [math.exp(-2 * float((unit[i] - unit[j]).square().sum())) for i in range(7) for j in range(7) if i != j]
    assert uniformity(embeddings).item() == pytest.approx(math.log(sum(values) / len(values)), rel=1e-4)
    assert uniformity(torch.ones(5, 3)).item() == pytest.approx(0, abs=1e-5)
    assert uniformity(torch.tensor([[1.0, 0.0], [-1.0, 0.0]])).item() == pytest.approx(-8)


def test_warns_of_what_has_collapsed_and_of_nothing_else() -> None:
    assert "almost alike" in str(collapse_warning(0.0, 5.0))
    assert "one direction" in str(collapse_warning(0.5, 1.0))
    assert collapse_warning(0.5, 5.0) is None
