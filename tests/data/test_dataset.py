import pytest

from mmssl.data.dataset import evenly_spaced


@pytest.mark.parametrize(
    ("length", "count", "positions"),
    [(9, 3, [0, 4, 8]), (9, 1, [0]), (3, 8, [0, 1, 2]), (1, 1, [0]), (0, 4, []), (10, 4, [0, 3, 6, 9])],
)
def test_positions_reach_from_the_first_to_the_last(length: int, count: int, positions: list[int]) -> None:
    assert evenly_spaced(length, count) == positions


def test_no_position_is_given_twice() -> None:
    for length in range(40):
        for count in range(1, 40):
            assert len(set(evenly_spaced(length, count))) == min(length, count)
