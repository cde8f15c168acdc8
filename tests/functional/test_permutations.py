import pytest
import torch

from mmssl.functional.permutations import LARGEST, _product, distant_permutations


def distances(permutations: torch.Tensor) -> torch.Tensor:
    """Hamming distances of all pairs, one above the other."""
    apart = (permutations[:, None] != permutations[None]).sum(-1)
    return apart[torch.triu_indices(len(permutations), len(permutations), 1).unbind()]


def test_any_two_are_far_apart() -> None:
    permutations = distant_permutations(LARGEST)
    assert permutations.shape == (1512, 9)
    assert (permutations.sort(1).values == torch.arange(9)).all()
    assert distances(permutations).min() == 6
    assert distances(permutations[:504]).min() == 7
    assert permutations[0].tolist() == list(range(9))


def test_fewer_are_the_first_of_more_and_too_many_are_refused() -> None:
    assert torch.equal(distant_permutations(20), distant_permutations(1000)[:20])
    for count in (0, 1513):
        with pytest.raises(ValueError, match="1 to 1512"):
            distant_permutations(count)


def test_the_field_has_inverses_and_distributes() -> None:
    for x in range(1, 8):
        assert sorted(_product(x, y) for y in range(8)) == list(range(8))
        for y in range(8):
            for z in range(8):
                assert _product(x, y ^ z) == _product(x, y) ^ _product(x, z)
