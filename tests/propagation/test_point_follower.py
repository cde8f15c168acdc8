import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from mmssl.propagation.heat_maps import decode_points, encode_points
from mmssl.propagation.point_follower import PointFollower
from mmssl.propagation.presets import DINO
from mmssl.propagation.propagator import Propagator

SIDE, STRIDE = 128, 16
JOINTS = torch.tensor([[44.0, 52.0], [84.0, 52.0], [44.0, 76.0], [84.0, 76.0], [64.0, 64.0]])
GENERATOR = torch.Generator().manual_seed(3)
ANIMAL = torch.nn.functional.interpolate(torch.rand(1, 1, 16, 16, generator=GENERATOR), 64, mode="bicubic")[0, 0]


def frame(angle: float = 0.0, right: float = 0.0) -> Tensor:
    """A smooth texture on a black ground, turned about the middle and moved to the right."""
    y, x = torch.meshgrid(torch.arange(SIDE) + 0.5 - 64, torch.arange(SIDE) + 0.5 - 64 - right, indexing="ij")
    x, y = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    grid = torch.stack((x, y), dim=-1)[None] / 32
    picture = torch.nn.functional.grid_sample(ANIMAL[None, None], grid, align_corners=False)[0]
    return (picture.clamp(0, 1) * 255).to(torch.uint8).expand(3, -1, -1)


def joints(angle: float = 0.0, right: float = 0.0) -> Tensor:
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return (JOINTS - 64) @ turn.T + 64 + torch.tensor([right, 0.0])


def maps(points: Tensor) -> Tensor:
    return encode_points(points, cells=(SIDE // STRIDE,) * 2, stride=STRIDE, sigma_cells=0.6)


def follower(*groups: Tensor) -> PointFollower:
    return PointFollower(stride=STRIDE, scale=torch.ones(2), sigma_cells=0.6, groups=groups)


def test_small_motion_is_followed_where_features_stay() -> None:
    """A tenth of a cell a frame; the heat map from features is that of the frame before."""
    points = follower()
    labels = maps(JOINTS)
    points.begin(frame(), labels)
    for step in range(1, 9):
        labels = points.step(frame(right=1.6 * step), labels)
    assert_close(decode_points(labels, stride=STRIDE)[0], joints(right=12.8), atol=0.3, rtol=0)


def test_features_decide_where_the_patch_is_far_from_them_and_what_is_lost_stays_lost() -> None:
    points = follower()
    points.begin(frame(), maps(JOINTS))
    elsewhere = maps(JOINTS + 2 * STRIDE)
    elsewhere[4] = 0
    assert torch.equal(points.step(frame(), elsewhere), elsewhere)
    again = points.step(frame(), maps(JOINTS + 2 * STRIDE))
    assert bool((again[4] > 0).any())


def test_a_joint_that_strayed_is_put_back_where_its_animal_has_it() -> None:
    points = follower(torch.arange(5))
    labels = maps(JOINTS)
    points.begin(frame(), labels)
    for step in range(1, 6):
        astray = labels.clone()
        astray[0] = maps(JOINTS[:1] - torch.tensor([40.0, 40.0]))[0]
        labels = points.step(frame(angle=0.04 * step), astray)
    assert_close(decode_points(labels, stride=STRIDE)[0], joints(angle=0.2), atol=1.5, rtol=0)


def test_goes_on_from_what_it_returned_with_the_same_values() -> None:
    whole, again = follower(torch.arange(5)), follower(torch.arange(5))
    first = maps(JOINTS)
    whole.begin(frame(), first)
    second = whole.step(frame(right=1.0), first)
    third = whole.step(frame(right=2.0), second)
    again.begin(frame(), first)
    again.resume(frame(right=1.0), second)
    assert torch.equal(again.step(frame(right=2.0), second), third)


def test_the_propagator_follows_frame_by_frame() -> None:
    propagator = Propagator(DINO, num_competing=0, follower=follower())
    features = torch.randn(96, SIDE // STRIDE, SIDE // STRIDE, generator=torch.Generator().manual_seed(0))
    propagator.step(features, maps(JOINTS), frame=frame())
    for step in range(1, 4):
        labels = propagator.step(features, frame=frame(right=1.5 * step))
    assert_close(decode_points(labels, stride=STRIDE)[0], joints(right=4.5), atol=0.3, rtol=0)
    with pytest.raises(ValueError, match="the frame itself"):
        propagator.step(features)
