import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from mmssl.functional.warping import warped_distances


def paths(rows: int, columns: int, at: tuple[int, int] = (0, 0)) -> list[list[tuple[int, int]]]:
    """All ways from one cell to the last, by a step down, to the right or both."""
    if at == (rows - 1, columns - 1):
        return [[at]]
    row, column = at
    steps = [(row + 1, column), (row, column + 1), (row + 1, column + 1)]
    inside = [step for step in steps if step[0] < rows and step[1] < columns]
    return [[at, *rest] for step in inside for rest in paths(rows, columns, step)]


def by_all_paths(one: Tensor, other: Tensor) -> float:
    """The mean along the path with the smallest sum, of all paths there are."""
    found = []
    for path in paths(len(one), len(other)):
        angles = [
            math.acos(max(-1.0, min(1.0, float(torch.cosine_similarity(one[i], other[j], dim=0))))) / math.pi
            for i, j in path
        ]
        found.append((sum(angles), len(path)))
    total, length = min(found)
    return total / length


def test_distances_are_those_of_the_best_of_all_paths() -> None:
    lengths = torch.tensor([1, 4, 3, 5, 2])
    cells = torch.randn(15, 3)
    sequences = cells.split(lengths.tolist())
    found = warped_distances(cells, lengths)
    for i, j in itertools.combinations(range(5), 2):
        assert float(found[i, j]) == pytest.approx(by_all_paths(sequences[i], sequences[j]), abs=1e-5)
    assert_close(found, found.T)
    assert not found.diagonal().any()


def test_a_sequence_said_slowly_is_the_same_and_one_said_backwards_is_not() -> None:
    said = torch.randn(4, 6)
    slowly = said.repeat_interleave(3, 0)
    found = warped_distances(torch.cat((said, slowly, 5 * said, said.flip(0))), torch.tensor([4, 12, 4, 4]))
    assert_close(found[0, 1:3], torch.zeros(2), atol=2e-4, rtol=0)
    assert found[0, 3] > 0.1


def test_known_angles() -> None:
    cells = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0], [0.0, 0.0]])
    found = warped_distances(cells, torch.ones(4, dtype=torch.int64))
    assert_close(found[0], torch.tensor([0.0, 0.5, 1.0, 0.5]))


def test_lengths_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="sum up to 4 cells"):
        warped_distances(torch.randn(4, 2), torch.tensor([1, 2]))
