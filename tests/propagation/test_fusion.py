import torch
from torch import Tensor

from mmssl.propagation.fusion import fuse


def passes() -> tuple[Tensor, Tensor]:
    """Background, object 1 and object 2 on two cells, and one heat map."""
    forward = torch.tensor([[[0.2, 1.0]], [[0.8, 0.0]], [[0.0, 0.0]], [[1.0, 0.0]]])
    backward = torch.tensor([[[0.6, 0.1]], [[0.4, 0.0]], [[0.0, 0.9]], [[0.0, 1.0]]])
    return forward, backward


def run(
    steps: tuple[int, int], known: list[list[bool]], trust: tuple[float, float] = (0.8, 0.8)
) -> tuple[Tensor, Tensor]:
    forward, backward = passes()
    return fuse(
        forward,
        backward,
        confidences=(torch.full((4,), trust[0]), torch.full((4,), trust[1])),
        known=(torch.tensor(known[0]), torch.tensor(known[1])),
        steps=steps,
        num_regions=3,
    )


def test_equal_passes_count_alike_and_the_nearer_counts_more() -> None:
    everything = [[True] * 4] * 2
    fused, _ = run((3, 3), everything)
    assert torch.allclose(fused[1, 0, 0], torch.tensor(0.6))
    fused, _ = run((1, 3), everything)
    assert torch.allclose(fused[1, 0, 0], torch.tensor(0.76))
    assert torch.allclose(fused[3], torch.tensor([[0.9, 0.1]]))
    assert torch.allclose(fused[:3].sum(0), torch.ones(1, 2))


def test_an_object_that_one_end_shows_is_carried_from_there_alone() -> None:
    fused, trust = run((1, 9), [[True, True, False, True], [True] * 4])
    assert int(fused[:3, 0, 1].argmax()) == 2
    assert torch.allclose(trust[2], torch.tensor(0.8))


def test_disagreement_lowers_the_confidence() -> None:
    _, trust = run((2, 2), [[True] * 4] * 2)
    assert torch.allclose(trust[3], torch.tensor(0.4))
    assert 0.4 < trust[1] < 0.8


def test_the_more_confident_pass_counts_more() -> None:
    fused, _ = run((2, 2), [[True] * 4] * 2, trust=(0.9, 0.1))
    assert torch.allclose(fused[3], torch.tensor([[0.9, 0.1]]))
