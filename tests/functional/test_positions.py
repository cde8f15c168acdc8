import math

import pytest
import torch
from torch.testing import assert_close

from mmssl.functional.positions import sincos_moments, sincos_positions


def test_matches_one_number_at_a_time() -> None:
    positions = sincos_positions(3, 4, 8)
    for row in range(3):
        for column in range(4):
            wanted = []
            for place in (column, row):
                wanted += [wave(place / 10_000 ** (i / 2)) for wave in (math.sin, math.cos) for i in range(2)]
            assert positions[4 * row + column].tolist() == pytest.approx(wanted, abs=1e-6)


def test_neighbours_are_alike_and_no_two_cells_the_same() -> None:
    positions = sincos_positions(8, 8, 64)
    similarity = positions @ positions.T / 32
    assert_close(similarity.diagonal(), torch.ones(64))
    assert similarity[0, 1] > similarity[0, 2] > similarity[0, 4]
    assert torch.cdist(positions, positions)[~torch.eye(64, dtype=torch.bool)].min() > 0.1
    with pytest.raises(ValueError, match="multiple of 4"):
        sincos_positions(2, 2, 6)


def test_moments_by_one_number_at_a_time() -> None:
    positions = sincos_moments(torch.tensor([0.0, 0.5, 7.25]), 6)
    for row, moment in zip(positions, (0.0, 0.5, 7.25), strict=True):
        angles = [moment / 10_000 ** (place / 3) for place in range(3)]
        assert row.tolist() == pytest.approx([*map(math.sin, angles), *map(math.cos, angles)], abs=1e-6)
    with pytest.raises(ValueError, match="multiple of 2"):
        sincos_moments(torch.zeros(1), 5)
