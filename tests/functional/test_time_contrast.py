import math

import pytest
import torch
from torch.testing import assert_close

from mmssl.functional.time_contrast import time_contrast_loss


def by_loops(anchors: torch.Tensor, near: torch.Tensor, far: torch.Tensor, temperature: float) -> tuple[float, float]:
    def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
        return (a @ b / (a.norm() * b.norm())).item()

    losses, right = [], 0
    for item, anchor in enumerate(anchors):
        everything = [*near, *(frame for video in far for frame in video)]
        scores = [math.exp(cosine(anchor, frame) / temperature) for frame in everything]
        losses.append(-math.log(scores[item] / sum(scores)))
        right += all(cosine(anchor, near[item]) > cosine(anchor, frame) for frame in far[item])
    return sum(losses) / len(losses), right / len(anchors)


def test_loss_and_accuracy_match_loops() -> None:
    anchors, near, far = torch.randn(6, 4).double(), torch.randn(6, 4).double(), torch.randn(6, 3, 4).double()
    loss, accuracy = time_contrast_loss(anchors, near, far, temperature=0.3)
    expected = by_loops(anchors, near, far, 0.3)
    assert loss.item() == pytest.approx(expected[0], rel=1e-4)
    assert accuracy.item() == pytest.approx(expected[1], abs=1e-6)


def test_equal_embeddings_and_found_neighbors() -> None:
    same = torch.ones(5, 3)
    loss, _ = time_contrast_loss(same, same, same[:, None].expand(5, 2, 3), temperature=0.1)
    assert loss.item() == pytest.approx(math.log(15), abs=1e-5)
    each = torch.eye(5)
    loss, accuracy = time_contrast_loss(each, each, -each[:, None], temperature=0.05)
    assert loss < 1e-6
    assert accuracy == 1


def test_order_of_videos_and_scale_do_not_matter() -> None:
    anchors, near, far, order = torch.randn(6, 4), torch.randn(6, 4), torch.randn(6, 2, 4), torch.randperm(6)
    loss, _ = time_contrast_loss(anchors, near, far, temperature=0.2)
    assert_close(time_contrast_loss(anchors[order], near[order], far[order], temperature=0.2)[0], loss)
    assert_close(time_contrast_loss(2 * anchors, 3 * near, far / 2, temperature=0.2)[0], loss)
    with pytest.raises(ValueError, match="temperature"):
        time_contrast_loss(anchors, near, far, temperature=0.0)


def test_ranks_losses_average_to_the_loss_of_the_whole_batch() -> None:
    anchors, near, far = torch.randn(6, 4), torch.randn(6, 4), torch.randn(6, 2, 4)
    parts = [time_contrast_loss(anchors[i : i + 2], near, far, temperature=0.3, offset=i) for i in (0, 2, 4)]
    whole = time_contrast_loss(anchors, near, far, temperature=0.3)
    for part, both in zip(zip(*parts, strict=True), whole, strict=True):
        assert_close(torch.stack(part).mean(), both)
