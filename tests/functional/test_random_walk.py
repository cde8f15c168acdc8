import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from mmssl.functional.random_walk import palindromes, return_accuracy, return_loss, transitions


def step_by_loops(sources: Tensor, targets: Tensor, temperature: float, dropped: Tensor) -> Tensor:
    """One item's transitions, an edge at a time."""
    rows = []
    for i, source in enumerate(sources):
        weights = [
            0.0 if dropped[i, j] else math.exp(torch.cosine_similarity(source, target, dim=0).item() / temperature)
            for j, target in enumerate(targets)
        ]
        rows.append([weight / sum(weights) for weight in weights])
    return torch.tensor(rows)


def walk_by_loops(steps: list[Tensor]) -> Tensor:
    """Adds up the probability of every path, one node after the other."""
    starts, ends = steps[0].shape[0], steps[-1].shape[1]
    walk = torch.zeros(starts, ends)

    def follow(start: int, node: int, probability: float, left: list[Tensor]) -> None:
        if not left:
            walk[start, node] += probability
            return
        for following in range(left[0].shape[1]):
            follow(start, following, probability * left[0][node, following].item(), left[1:])

    for start in range(starts):
        follow(start, start, 1.0, steps)
    return walk


def some_frames(nodes: tuple[int, ...] = (3, 4, 2), batch: int = 2) -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(batch, count, 5, generator=generator) for count in nodes]


def test_transitions_match_loops() -> None:
    first, second, _ = some_frames()
    dropped = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(1)) < 0.3
    found = transitions(first, second, temperature=0.4, dropped=dropped)
    for item in range(2):
        assert_close(found[item], step_by_loops(first[item], second[item], 0.4, dropped[item]))
    assert_close(found.sum(2), torch.ones(2, 3))


def test_palindromes_add_up_all_paths() -> None:
    frames = some_frames()
    home = torch.randn(2, 5, 5)
    ahead = [transitions(a, b, temperature=0.5) for a, b in itertools.pairwise(frames)]
    back = [transitions(a, b, temperature=0.5) for a, b in zip(frames[1:], [home, frames[1]], strict=True)]
    short, long = palindromes(ahead, back)
    for item in range(2):
        assert_close(short[item], walk_by_loops([ahead[0][item], back[0][item]]))
        assert_close(long[item], walk_by_loops([step[item] for step in (*ahead, *reversed(back))]))


def test_loss_matches_loops_and_leaves_out_walks_without_an_end() -> None:
    walks = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(5)).softmax(2)
    ends = torch.tensor([[0, 4, -1, 2], [-1, -1, -1, 3], [-1, -1, -1, -1]])
    items = []
    for walk, right in zip(walks, ends.tolist(), strict=True):
        surprises = [-math.log(row[end]) for row, end in zip(walk, right, strict=True) if end >= 0]
        items.append(sum(surprises) / len(surprises) if surprises else 0.0)
    assert return_loss(walks, ends).item() == pytest.approx(sum(items) / 3)
    hits = sum(
        int(row.argmax()) == end
        for walk, right in zip(walks, ends.tolist(), strict=True)
        for row, end in zip(walk, right, strict=True)
        if end >= 0
    )
    assert return_accuracy(walks, ends).item() == pytest.approx(hits / 4)


def test_who_follows_nothing_is_lost_among_all_nodes() -> None:
    nodes = torch.ones(2, 7, 3)
    step = transitions(nodes, nodes, temperature=0.1)
    (walk,) = palindromes([step], [step])
    assert return_loss(walk, torch.arange(7).expand(2, -1)).item() == pytest.approx(math.log(7))


def test_who_knows_each_node_returns() -> None:
    nodes = torch.eye(6)[None]
    step = transitions(nodes, nodes, temperature=0.01)
    for walk in palindromes([step] * 3, [step] * 3):
        assert return_loss(walk, torch.arange(6)[None]).item() == pytest.approx(0, abs=1e-5)
        assert return_accuracy(walk, torch.arange(6)[None]).item() == 1


def test_order_of_the_nodes_on_the_way_does_not_matter() -> None:
    first, second, _ = some_frames()
    shuffled = second[:, torch.tensor([2, 0, 3, 1])]
    walks = [
        palindromes([transitions(first, way, temperature=0.3)], [transitions(way, first, temperature=0.3)])[0]
        for way in (second, shuffled)
    ]
    assert_close(walks[0], walks[1])


def test_all_edges_dropped_is_no_information_and_finite() -> None:
    first, second, _ = some_frames()
    step = transitions(first, second, temperature=0.05, dropped=torch.ones(2, 3, 4, dtype=torch.bool))
    assert_close(step, torch.full((2, 3, 4), 0.25))


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_bad_temperature(temperature: float) -> None:
    first, second, _ = some_frames()
    with pytest.raises(ValueError, match="temperature must be positive"):
        transitions(first, second, temperature=temperature)


def test_as_many_back_as_ahead() -> None:
    with pytest.raises(ValueError, match="need as many"):
        palindromes([torch.eye(2)[None]], [])
