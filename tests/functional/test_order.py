import math
from itertools import permutations

import pytest
import torch
from torch.testing import assert_close

from mmssl.functional.order import all_orders, order_loss, order_tuples, sorting_orders


def test_tuples_are_those_of_the_paper() -> None:
    a, b, c, d, e = torch.randn(5, 7)
    expected = [(b, c, d), (d, c, b), (b, a, d), (d, a, b), (b, e, d), (d, e, b)]
    tuples = order_tuples(torch.stack((a, b, c, d, e))[None])[0]
    assert_close(tuples, torch.stack([torch.stack(entry) for entry in expected]))


def test_tuples_backwards_are_the_tuples_of_the_clip_backwards() -> None:
    frames = torch.randn(3, 5, 2)
    assert_close(order_tuples(frames.flip(1))[:, [1, 0, 5, 4, 3, 2]], order_tuples(frames))


@pytest.mark.parametrize("share", [0.5, 0.75])
def test_loss_and_accuracy_match_loops(share: float) -> None:
    logits = torch.randn(4, 6).double()
    loss, right = 0.0, [0.0, 0.0]
    for row in logits.tolist():
        for place, logit in enumerate(row):
            probability = 1 / (1 + math.exp(-logit))
            in_order = place < 2
            weight = (1 - share) / 2 if in_order else share / 4
            loss -= weight * math.log(probability if in_order else 1 - probability) / 4
            right[in_order] += ((logit > 0) == in_order) / (4 * (2 if in_order else 4))
    found, accuracy = order_loss(logits, negative_share=share)
    assert found.item() == pytest.approx(loss, rel=1e-6)
    assert accuracy.item() == pytest.approx(sum(right) / 2, abs=1e-6)


def test_answers_that_do_not_look() -> None:
    loss, accuracy = order_loss(torch.zeros(3, 6), negative_share=0.75)
    assert loss.item() == pytest.approx(math.log(2))
    assert accuracy.item() == 0.5
    assert order_loss(torch.full((3, 6), -4.0), negative_share=0.75)[1].item() == 0.5
    with pytest.raises(ValueError, match="negative_share"):
        order_loss(torch.zeros(3, 6), negative_share=1.0)


@pytest.mark.parametrize("num_frames", [2, 3, 4])
def test_orders_match_a_search_through_them(num_frames: int) -> None:
    orders, classes = sorting_orders(num_frames)
    listed = [tuple(order) for order in orders.tolist()]
    assert listed == list(permutations(range(num_frames)))
    assert sorted(set(classes.tolist())) == list(range(math.factorial(num_frames) // 2))
    for i, one in enumerate(listed):
        for j, other in enumerate(listed):
            assert (classes[i] == classes[j]) == (one in (other, other[::-1]))


def test_all_orders_shows_the_frames_as_the_orders_say() -> None:
    frames = torch.randn(2, 4, 3)
    orders = sorting_orders(4)[0]
    shown = all_orders(frames)
    assert shown.shape == (2, 24, 4, 3)
    assert all(
        torch.equal(shown[item, order, place], frames[item, orders[order, place]])
        for item in range(2)
        for order in range(24)
        for place in range(4)
    )
    with pytest.raises(ValueError, match="at least 2"):
        sorting_orders(1)
