import math

import torch
from torch import Tensor
from torch.testing import assert_close

from mmssl.functional.predictive_coding import draw_negatives, predictive_nce, predictive_nce_within, times_drawn


def nce_by_loops(
    predictions: Tensor, codes: Tensor, negatives: Tensor, lengths: Tensor
) -> tuple[list[float], list[float]]:
    """One moment and one number of steps ahead after the other."""
    losses, accuracies = [], []
    for step in range(1, predictions.shape[2] + 1):
        of_items = []
        for item, length in enumerate(lengths.tolist()):
            found = []
            for moment in range(length - step):
                asked, target = predictions[item, moment, step - 1], moment + step
                own = float(asked @ codes[item, target])
                others = [float(asked @ negative) for negative in negatives[item, target]]
                total = sum(math.exp(score) for score in [own, *others])
                found.append((-math.log(math.exp(own) / total), float(own > max(others))))
            if found:
                of_items.append([sum(column) / len(found) for column in zip(*found, strict=True)])
        losses.append(sum(loss for loss, _ in of_items) / max(len(of_items), 1))
        accuracies.append(sum(share for _, share in of_items) / max(len(of_items), 1))
    return losses, accuracies


def test_matches_loops_over_every_moment_and_step() -> None:
    predictions, codes, negatives = torch.randn(3, 7, 4, 5), torch.randn(3, 7, 5), torch.randn(3, 7, 6, 5)
    for lengths in (torch.tensor([7, 5, 2]), torch.tensor([7, 7, 7]), torch.tensor([1, 2, 1])):
        losses, accuracies = predictive_nce(predictions, codes, negatives, lengths)
        wanted = nce_by_loops(predictions, codes, negatives, lengths)
        assert_close((losses, accuracies), tuple(map(torch.tensor, wanted)), atol=1e-5, rtol=1e-5)


def test_equal_codes_give_the_logarithm_and_products_are_summed() -> None:
    same = torch.ones(2, 6, 8)
    losses, accuracies = predictive_nce(
        torch.randn(2, 6, 3, 8), same, same[:, :, None].expand(2, 6, 9, 8), torch.tensor([6, 6])
    )
    assert_close(losses, torch.full((3,), math.log(10)))
    assert accuracies.tolist() == [0, 0, 0]
    codes = torch.full((1, 2, 8), 0.5)
    (loss,), _ = predictive_nce(torch.ones(1, 2, 1, 8), codes, torch.zeros(1, 2, 1, 8), torch.tensor([2]))
    assert_close(loss, torch.tensor(math.log1p(math.exp(-4.0))), msg="the score is 8 x 0.5, not its mean")


def test_negatives_are_every_other_code_of_the_group_and_never_the_code_itself() -> None:
    lengths, groups, num_times = torch.tensor([3, 2, 1, 3]), torch.tensor([4, 9, 4, 9]), 4
    places, usable = draw_negatives(torch.rand(4, num_times, 4000), lengths, groups, num_times=num_times)
    assert bool(usable.all())
    for item, length in enumerate(lengths.tolist()):
        for moment in range(length):
            found, counts = places[item, moment].unique(return_counts=True)
            others = {
                other * num_times + time
                for other in range(4)
                if groups[other] == groups[item]
                for time in range(int(lengths[other]))
            } - {item * num_times + moment}
            assert set(found.tolist()) == others
            assert counts.min() > 0.85 * counts.max(), "with equal odds"


def test_the_only_code_of_a_group_has_no_negative() -> None:
    places, usable = draw_negatives(torch.rand(2, 3, 5), torch.tensor([1, 2]), torch.tensor([0, 1]), num_times=3)
    assert usable[:, 0, 0].tolist() == [False, True]
    assert int(places.max()) < 6
    losses, _ = predictive_nce(
        torch.randn(2, 3, 1, 4), torch.randn(2, 3, 4), torch.randn(2, 3, 5, 4), torch.tensor([1, 1]), usable
    )
    assert losses.tolist() == [0.0]


def test_scores_are_not_rounded_where_networks_are() -> None:
    predictions, codes, lengths = torch.randn(2, 6, 3, 8), torch.randn(2, 6, 8), torch.tensor([6, 4])
    negatives, drawn = torch.randn(2, 6, 5, 8), torch.randint(0, 3, (2, 6, 6)).float()
    exact = predictive_nce(predictions, codes, negatives, lengths)
    exact_within = predictive_nce_within(predictions, codes, drawn, lengths)
    with torch.autocast("cpu", torch.bfloat16):
        assert_close(predictive_nce(predictions, codes, negatives, lengths), exact, atol=0, rtol=0)
        assert_close(predictive_nce_within(predictions, codes, drawn, lengths), exact_within, atol=0, rtol=0)


def test_scores_against_all_codes_of_an_item_are_those_against_the_drawn() -> None:
    predictions, codes = torch.randn(4, 7, 3, 5, requires_grad=True), torch.randn(4, 7, 5, requires_grad=True)
    lengths = torch.tensor([7, 5, 2, 1])
    places, usable = draw_negatives(torch.rand(4, 7, 6), lengths, torch.arange(4), num_times=7)
    gathered = predictive_nce(predictions, codes, codes.flatten(0, 1)[places], lengths, usable)
    within = predictive_nce_within(predictions, codes, times_drawn(places, usable), lengths)
    assert_close(within, gathered)
    for mine, wanted in zip(
        *(torch.autograd.grad(losses.sum(), (predictions, codes)) for losses in (within[0], gathered[0])), strict=True
    ):
        assert_close(mine, wanted)


def test_a_part_of_the_batch_draws_what_the_whole_does() -> None:
    uniform, lengths, groups = torch.rand(4, 5, 6), torch.tensor([5, 3, 4, 5]), torch.tensor([0, 1, 0, 1])
    whole, _ = draw_negatives(uniform, lengths, groups, num_times=5)
    part, _ = draw_negatives(uniform[2:], lengths, groups, num_times=5, offset=2)
    assert torch.equal(part, whole[2:])
