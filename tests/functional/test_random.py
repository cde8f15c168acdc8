import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from mmssl.functional.random import ItemRandom, _mix


def test_mix_has_the_published_values() -> None:
    states = [(1234567 + step * 0x9E3779B97F4A7C15) % 2**64 for step in (1, 2)]
    assert _mix(np.array(states, dtype=np.uint64)).tolist() == [6457827717110365317, 3203168211198807973]


@pytest.mark.parametrize("draw", ["uniform", "normal", "integers", "permutations"])
def test_an_item_gets_the_same_numbers_in_any_batch(draw: str) -> None:
    def drawn(items: list[int], name: str = "x", seed: int = 3, epoch: int = 2) -> torch.Tensor:
        random = ItemRandom(seed, epoch, items)
        if draw == "integers":
            return random.integers(name, (5,), high=1000)
        return random.permutations(name, 9) if draw == "permutations" else getattr(random, draw)(name, (5,))

    together = drawn([4, 0, 7, 2**40])
    for position, item in enumerate([4, 0, 7, 2**40]):
        assert torch.equal(drawn([item])[0], together[position])
    assert torch.equal(drawn([4, 0, 7, 2**40]), together)
    for other in (drawn([4, 0, 7, 2**40], name="y"), drawn([4, 0, 7, 2**40], seed=4), drawn([4, 0, 7, 2**40], epoch=3)):
        assert not torch.equal(other, together)
    assert not torch.equal(together[0], together[1])


def test_global_randomness_is_neither_used_nor_moved() -> None:
    before = torch.get_rng_state()
    first = ItemRandom(0, 0, range(3)).normal("x", (4,))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    assert torch.equal(ItemRandom(0, 0, range(3)).normal("x", (4,)), first)


def test_uniform_is_uniform_over_items_and_over_positions() -> None:
    for numbers in (
        ItemRandom(0, 0, range(40_000)).uniform("x", low=-1.0, high=3.0),
        ItemRandom(0, 0, [5]).uniform("x", (40_000,), low=-1.0, high=3.0)[0],
    ):
        assert numbers.min() >= -1
        assert numbers.max() < 3
        counts = torch.histc(numbers, bins=20, min=-1, max=3)
        chi_squared = ((counts - 2000) ** 2 / 2000).sum().item()
        assert chi_squared < 50, "19 degrees of freedom: above 50 once in 10,000 times"


def test_neighbors_are_not_correlated() -> None:
    numbers = ItemRandom(0, 0, range(300)).uniform("x", (300,)) - 0.5
    for a, b in ((numbers[1:], numbers[:-1]), (numbers[:, 1:], numbers[:, :-1])):
        assert abs((a * b).mean().item() * 12) < 5 / math.sqrt(a.numel())
    other = ItemRandom(0, 1, range(300)).uniform("x", (300,)) - 0.5
    assert abs((numbers * other).mean().item() * 12) < 5 / math.sqrt(numbers.numel())


def test_normal_has_the_moments_of_a_normal() -> None:
    numbers = ItemRandom(1, 0, range(1000)).normal("x", (100,)).double()
    moments = torch.stack([(numbers**power).mean() for power in (1, 2, 3, 4)])
    assert_close(moments, torch.tensor([0.0, 1.0, 0.0, 3.0], dtype=torch.float64), atol=0.05, rtol=0)


def test_integers_take_every_value_alike() -> None:
    counts = torch.bincount(ItemRandom(0, 0, range(30_000)).integers("x", high=3), minlength=3)
    assert len(counts) == 3
    assert (counts - 10_000).abs().max() < 450
    assert ItemRandom(0, 0, range(9)).integers("x", high=1).sum() == 0


def test_permutations_are_permutations_each_as_likely() -> None:
    orders = ItemRandom(0, 0, range(6000)).permutations("x", 3)
    assert torch.equal(orders.sort(1).values, torch.arange(3).expand(6000, 3))
    counts = torch.bincount((orders * torch.tensor([9, 3, 1])).sum(1))
    assert ((counts[counts > 0] - 1000).abs() < 170).all()
    assert (counts > 0).sum() == 6
