import pytest
import torch
from torch.testing import assert_close

from mmssl.errors import ConfigError
from mmssl.functional.random import ItemRandom
from mmssl.views.moments import MomentCut
from mmssl.views.ordered_frames import OrderedFramesView
from mmssl.views.time_contrast import TimeContrastView

ITEMS = 60
LEVELS = (torch.arange(12, dtype=torch.uint8) * 20)[None, :, None, None, None].expand(ITEMS, 12, 3, 20, 20).contiguous()
PLAIN = {"size": 4, "shift_pixels": 0, "brightness": 0.0}


def places(frames: torch.Tensor) -> torch.Tensor:
    """Which frames of LEVELS were taken."""
    return (frames[:, :, 0, 0, 0] * 255 / 20).round().long()


def test_frames_are_ascending_with_gaps_up_to_the_longest() -> None:
    view = OrderedFramesView(num_frames=4, max_step=3, **PLAIN)
    taken = places(view(LEVELS, ItemRandom(0, 0, range(ITEMS)))["frames"])
    gaps = taken.diff(dim=1)
    assert set(gaps.flatten().tolist()) == {1, 2, 3}
    assert taken.min() == 0
    assert taken.max() == 11


def test_without_a_longest_gap_the_clip_is_used_whole() -> None:
    taken = places(OrderedFramesView(num_frames=5, **PLAIN)(LEVELS, ItemRandom(0, 0, range(ITEMS)))["frames"])
    assert set(taken.diff(dim=1).flatten().tolist()) == {1, 2}
    with pytest.raises(ConfigError, match="at least 13 frames"):
        OrderedFramesView(num_frames=5, max_step=3)(LEVELS, ItemRandom(0, 0, range(ITEMS)))


def test_near_is_near_and_far_is_far() -> None:
    view = TimeContrastView(num_far=3, near_frames=2, far_frames=4, **PLAIN)
    taken = places(view(LEVELS, ItemRandom(0, 0, range(ITEMS)))["frames"])
    distance = (taken[:, 1:] - taken[:, :1]).abs()
    assert set(distance[:, 0].tolist()) == {1, 2}
    assert distance[:, 1:].min() == 4
    assert all(len(set(row.tolist())) == 3 for row in taken[:, 2:])
    assert set(taken[:, 0].tolist()) == set(range(12))
    with pytest.raises(ConfigError, match="at least 13 frames"):
        TimeContrastView(num_far=4, near_frames=2, far_frames=5)(LEVELS, ItemRandom(0, 0, range(ITEMS)))
    with pytest.raises(ConfigError, match="near_frames < far_frames"):
        TimeContrastView(near_frames=2, far_frames=2)


def test_each_frame_is_shifted_and_lit_on_its_own() -> None:
    ramp = torch.arange(40, dtype=torch.uint8)[:, None] + torch.arange(40, dtype=torch.uint8)
    clips = (2 * ramp).expand(3, 2, 3, 40, 40).contiguous()
    positions = torch.tensor([[0, 1, 1]] * 3)
    options = {"size": 32, "scale": (1.0, 1.0), "flip_probability": 0.0}
    random = ItemRandom(0, 0, range(3))
    still = MomentCut(shift_pixels=0, brightness=0.0, **options)(clips, positions, random)
    assert_close(still[:, 0], still[:, 2])
    shifted = MomentCut(shift_pixels=4, brightness=0.0, **options)(clips, positions, random)
    steps = (shifted - shifted[:, :1]).flatten(2)
    assert_close(steps, steps[..., :1].expand_as(steps), atol=1e-4, rtol=0)
    assert steps.abs().max() > 0
    lit = MomentCut(shift_pixels=0, brightness=0.2, **options)(clips, positions, random)
    ratios = (lit / still.clamp_min(1e-6))[..., 8:, 8:].flatten(2)
    assert_close(ratios, ratios[..., :1].expand_as(ratios), atol=1e-4, rtol=0)
    assert ratios.min() >= 0.8
    assert ratios.max() <= 1.2
    assert len(ratios[..., 0].unique()) == 9
