import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from mmssl.functional.correspondence import matching_cells
from mmssl.functional.random_walk import return_loss, transitions
from mmssl.models.encoder import Encoder
from mmssl.models.small_resnet import SmallResNet
from mmssl.objectives.contrastive_random_walk import ContrastiveRandomWalk

DRAW = torch.tensor([5, 9])
WHOLE = torch.tensor([0.0, 0.0, 24.0, 24.0, 0.0])
MIRRORED = torch.tensor([0.0, 0.0, 24.0, 24.0, 1.0])


class MeanColors(Encoder):
    """A cell is its mean color, which is content; or, with `places`, where it is in the view."""

    def __init__(self, *, places: bool = False) -> None:
        super().__init__()
        self.input, self.stride, self.dim, self.feature_dim = "rgb", 8, 3, 3
        self.places = places

    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3))

    def features(self, images: Tensor) -> Tensor:
        if self.places:
            return torch.eye(9).reshape(1, 9, 3, 3).expand(len(images), -1, -1, -1)
        return torch.nn.functional.avg_pool2d(images, 8)


def colorful_frames() -> Tensor:
    """Two items, three frames of nine cells whose colors point in nine directions."""
    angles = torch.arange(9) * (math.pi / 18)
    colors = torch.stack((angles.cos(), angles.sin(), torch.full((9,), 0.4))).reshape(3, 3, 3)
    return colors.repeat_interleave(8, -1).repeat_interleave(8, -2).expand(2, 3, 3, 24, 24).clone()


def cells_batch() -> dict[str, Tensor]:
    frames, boxes = colorful_frames(), torch.stack((WHOLE, WHOLE, MIRRORED)).expand(2, -1, -1).clone()
    frames[:, 2] = frames[:, 2].flip(-1)
    return {"frames": frames, "boxes": boxes, "draw": DRAW}


def test_content_returns_where_the_crop_sends_it() -> None:
    objective = ContrastiveRandomWalk(MeanColors(), temperature=0.001, edge_dropout=0.0)
    output = objective(cells_batch())
    assert output["loss"] < 1e-3
    assert output["return_accuracy_1"] == 1
    assert output["return_accuracy_in_place"].item() == pytest.approx(1 / 3)


def test_place_alone_does_not_return() -> None:
    objective = ContrastiveRandomWalk(MeanColors(places=True), temperature=0.01, edge_dropout=0.0)
    output = objective(cells_batch())
    assert output["loss"] > 5
    assert output["return_accuracy_1"].item() == pytest.approx(1 / 3)


def test_patches_walk_back_to_themselves() -> None:
    patches = colorful_frames().unfold(3, 8, 8).unfold(4, 8, 8).permute(0, 1, 3, 4, 2, 5, 6).flatten(2, 3)
    batch = {"frames": colorful_frames(), "patches": patches, "draw": DRAW}
    output = ContrastiveRandomWalk(MeanColors(), temperature=0.001, edge_dropout=0.0)(batch)
    assert output["loss"] < 1e-3
    assert output["return_accuracy_1"] == output["return_accuracy_2"] == 1
    assert "return_accuracy_in_place" not in output


def test_is_the_mean_over_walks_of_each_length() -> None:
    frames = torch.rand(2, 4, 3, 24, 24)
    boxes = torch.stack((WHOLE, WHOLE, MIRRORED, MIRRORED)).expand(2, -1, -1)
    encoder = SmallResNet(width=4).eval()
    objective = ContrastiveRandomWalk(encoder, temperature=0.2, edge_dropout=0.0, direct_weight=0.25)
    a, b, c, home = (encoder.features(frame).flatten(2).transpose(1, 2) for frame in frames.unbind(1))

    def walk(*nodes: Tensor) -> Tensor:
        whole = torch.eye(9)
        for left, entered in itertools.pairwise(nodes):
            whole = whole @ transitions(left, entered, temperature=0.2)
        return return_loss(whole, matching_cells(boxes[:, 0], boxes[:, 3], (3, 3)))

    expected = 0.75 * (walk(a, b, home) + walk(a, b, c, b, home)) / 2 + 0.25 * walk(a, home)
    assert_close(objective({"frames": frames, "boxes": boxes, "draw": DRAW})["loss"], expected)


def test_dropped_edges_belong_to_the_item() -> None:
    objective = ContrastiveRandomWalk(MeanColors(), edge_dropout=0.3)
    together = objective._dropped(DRAW, edges=(2, 50, 40))
    alone = objective._dropped(DRAW[1:], edges=(2, 50, 40))
    assert together is not None
    assert alone is not None
    assert torch.equal(together[1], alone[0])
    assert together.float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert not torch.equal(together[0], together[1])


def test_the_picture_follows_the_walker() -> None:
    objective = ContrastiveRandomWalk(MeanColors(), temperature=0.001)
    (picture,) = objective.pictures(cells_batch()).values()
    start, on_the_way, end, right = picture[:, :24].unflatten(2, (4, 24)).unbind(2)
    assert picture.shape == (3, 48, 96)
    for frame in (start, on_the_way, end, right):
        assert frame[0, 12, 12] > 0.75
        assert frame[0, 4, 4] < 0.5
