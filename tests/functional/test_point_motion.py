import math

import torch
from torch import Tensor
from torch.testing import assert_close

from mmssl.functional.point_motion import follow_points, image_pyramid, resemblance, rigid_motion

POINTS = torch.tensor([[60.5, 60.5], [100.25, 70.0], [80.0, 110.75]])


def picture(*, shift: tuple[float, float] = (0.0, 0.0), turn: float = 0.0, center: float = 80.0) -> Tensor:
    """A smooth pattern of waves, shifted, or turned about a point."""
    y, x = torch.meshgrid(torch.arange(160) + 0.5, torch.arange(160) + 0.5, indexing="ij")
    x, y = x - shift[0] - center, y - shift[1] - center
    x, y = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    waves = (x / 3).sin() * (y / 4).cos() + (x / 11 + y / 17).sin() + ((x - 2 * y) / 37).cos()
    return ((waves + 3) / 6 * 255).round().to(torch.uint8).expand(3, -1, -1)


def test_finds_shifts_of_parts_of_a_pixel_and_of_many() -> None:
    before = image_pyramid(picture())
    assert [len(level) for level in before] == [160, 80, 40, 20]
    for shift in ((0.0, 0.0), (0.3, -0.6), (2.25, 1.5), (-9.5, 7.0)):
        after = image_pyramid(picture(shift=shift))
        found = follow_points(before, after, POINTS)
        assert_close(found, POINTS + torch.tensor(shift), atol=0.05, rtol=0)
        assert_close(follow_points(after, before, found, guess=POINTS), POINTS, atol=0.05, rtol=0)


def test_even_ground_stays_and_brighter_light_is_no_motion() -> None:
    flat = image_pyramid(torch.full((3, 64, 64), 90, dtype=torch.uint8))
    middle = torch.tensor([[32.0, 32.0]])
    assert_close(follow_points(flat, flat, middle), middle)
    dark, bright = image_pyramid(picture() // 2), image_pyramid(picture() // 2 + 60)
    assert_close(follow_points(dark, bright, POINTS), POINTS, atol=0.05, rtol=0)


def test_resembles_when_turned_along() -> None:
    angle = 0.7
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    places = (POINTS - 80) @ turn.T + 80
    image, turned = image_pyramid(picture())[0], image_pyramid(picture(turn=angle))[0]
    assert bool((resemblance(image, POINTS, turned, places, turn=turn) > 0.98).all())
    assert bool((resemblance(image, POINTS, turned, places, turn=torch.eye(2)) < 0.9).all())
    assert_close(resemblance(image, POINTS, image, POINTS, turn=torch.eye(2)), torch.ones(3))


def test_rigid_motion_of_most_points() -> None:
    source = torch.rand(10, 2, generator=torch.Generator().manual_seed(0)) * 100
    rotation = torch.tensor([[0.6, -0.8], [0.8, 0.6]])
    target = source @ rotation.T + torch.tensor([30.0, -7.0])
    target[:3] = source[:3]
    weights = torch.ones(10)
    found, shift = rigid_motion(source, target, weights=weights, tolerance=1.0, rounds=30)
    assert_close(source[3:] @ found.T + shift, target[3:], atol=0.5, rtol=0)
    assert_close(found @ found.T, torch.eye(2))
    weights[:3] = 0
    found, shift = rigid_motion(source, target, weights=weights, tolerance=1.0)
    assert_close(found, rotation, atol=1e-5, rtol=0)
    assert_close(shift, torch.tensor([30.0, -7.0]), atol=1e-3, rtol=0)
