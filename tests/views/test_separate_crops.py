import pytest
import torch
from torch.testing import assert_close

from mmssl.errors import ConfigError
from mmssl.functional.correspondence import cell_centers
from mmssl.functional.random import ItemRandom
from mmssl.views.separate_crops import SeparateCropsView

ITEMS = ItemRandom(0, 0, range(6))


def coordinates(height: int = 96, width: int = 128) -> torch.Tensor:
    """Clips whose red says how far down a pixel is, whose green how far across, and whose blue which frame it is in."""
    clips = torch.zeros(6, 4, 3, height, width, dtype=torch.uint8)
    clips[:, :, 0] = torch.arange(height, dtype=torch.uint8)[:, None] * 2
    clips[:, :, 1] = torch.arange(width, dtype=torch.uint8)
    clips[:, :, 2] = 60 * torch.arange(4, dtype=torch.uint8)[:, None, None]
    return clips


def plain(**settings: int | float) -> SeparateCropsView:
    return SeparateCropsView(size=32, jitter_strength=0.0, grey_probability=0.0, **settings)  # type: ignore[arg-type]


def test_boxes_say_what_a_crop_shows() -> None:
    batch = plain(num_frames=2)(coordinates(), ITEMS)
    assert batch["frames"].shape == (6, 3, 3, 32, 32)
    assert set(batch["boxes"][..., 4].unique().tolist()) == {0.0, 1.0}
    for crop in range(3):
        y, x = cell_centers(batch["boxes"][:, crop], (32, 32))
        inner = batch["frames"][:, crop, :2, 4:-4, 4:-4] * 255
        assert_close(inner[:, 0], (2 * (y - 0.5)).reshape(6, 32, 32)[:, 4:-4, 4:-4], atol=1.5, rtol=0)
        assert_close(inner[:, 1], (x - 0.5).reshape(6, 32, 32)[:, 4:-4, 4:-4], atol=1.5, rtol=0)


def test_frames_come_in_order_and_the_first_once_more() -> None:
    batch = plain(num_frames=2, frame_step=2)(coordinates(), ITEMS)
    frame = (batch["frames"][:, :, 2].mean((2, 3)) * 255 / 60).round()
    assert torch.equal(frame[:, 1], frame[:, 0] + 2)
    assert torch.equal(frame[:, 2], frame[:, 0])
    assert set(frame[:, 0].tolist()) == {0.0, 1.0}
    assert not torch.equal(batch["boxes"][:, 0], batch["boxes"][:, 2])


def test_each_crop_has_colors_of_its_own() -> None:
    grey = torch.full((6, 1, 3, 40, 40), 128, dtype=torch.uint8)
    frames = SeparateCropsView(size=8, num_frames=1, jitter_strength=1.0)(grey, ITEMS)["frames"]
    assert (frames[:, 0] - frames[:, 1]).abs().amax() > 0.1
    assert_close(plain(num_frames=1)(grey, ITEMS)["frames"], torch.full((6, 2, 3, 32, 32), 128 / 255))


def test_short_clips_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 5 frames"):
        plain(num_frames=3, frame_step=2)(coordinates(), ITEMS)
