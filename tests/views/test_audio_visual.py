import pytest
import torch
from torch.testing import assert_close

from mmssl.errors import ConfigError
from mmssl.functional.random import ItemRandom
from mmssl.media.clip import Footage
from mmssl.views.audio_visual import AudioVisualView, window_begins

RATE = 1000
FRAME_SECONDS = 0.04
SETTINGS = {"size": 8, "num_frames": 4, "window_seconds": 0.16, "seconds_apart": 0.2, "scale": (1.0, 1.0)}


def telling_time(num_clips: int = 6, *, num_frames: int = 30) -> Footage:
    """A frame's brightness is its number; a sample's value is its time in seconds, and 100 more for each clip."""
    numbers = torch.arange(num_frames, dtype=torch.uint8)[None, :, None, None, None]
    seconds = FRAME_SECONDS * torch.arange(num_frames, dtype=torch.float64)
    sound = torch.arange(round(num_frames * FRAME_SECONDS * RATE)) / RATE + 100 * torch.arange(num_clips)[:, None, None]
    frames = numbers.expand(num_clips, -1, 3, 8, 8).contiguous()
    return Footage(frames, seconds.expand(num_clips, -1).contiguous(), sound, RATE)


def shown_at(batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Time of each frame that the view gives."""
    return (batch["frames"].mean((3, 4, 5)) * 255).round() * FRAME_SECONDS


@pytest.mark.parametrize(("window_seconds", "before"), [(0.16, 0.0), (0.08, -0.04), (0.3, 0.07)])
def test_sound_is_that_of_the_frames(window_seconds: float, before: float) -> None:
    """A window as long as its frames begins with the first; a shorter or longer one lies around their middle."""
    view = AudioVisualView(**SETTINGS | {"window_seconds": window_seconds, "num_moments": 3})
    batch = view(telling_time(), ItemRandom(0, 0, range(6)))
    assert batch["frames"].shape == (6, 3, 4, 3, 8, 8)
    assert batch["sound"].shape == (6, 3, 1, round(window_seconds * RATE))
    heard = batch["sound"][:, :, 0] - 100 * torch.arange(6)[:, None, None]
    assert_close(heard[:, :, 0], shown_at(batch)[:, :, 0] - before, atol=1e-3, rtol=0)
    assert_close(heard.diff(dim=2), torch.full_like(heard[:, :, 1:], 1 / RATE), atol=1e-4, rtol=0)


def test_moments_are_apart_and_differ_between_clips_and_epochs() -> None:
    view = AudioVisualView(**SETTINGS | {"num_moments": 4})
    epochs = [shown_at(view(telling_time(), ItemRandom(0, epoch, range(6))))[:, :, 0] for epoch in range(2)]
    for begins in epochs:
        assert begins.diff(dim=1).min() >= 0.2 - 1e-6
        assert len({tuple(row.tolist()) for row in begins}) > 1
    assert not torch.equal(*epochs)
    alone = shown_at(view(telling_time(), ItemRandom(0, 0, [9, 9, 4, 9, 9, 9])))[2, :, 0]
    assert torch.equal(alone, epochs[0][4]), "a clip's moments do not depend on the others of its batch"


def test_window_begins_by_hand() -> None:
    firsts, begins = window_begins(telling_time(1, num_frames=5), num_frames=2, frame_step=2, window_seconds=0.06)
    assert firsts.tolist() == [0, 1, 2]
    assert begins.tolist() == [[30, 70, 110]], "middles of 0 to 0.12 s and so on, less 0.03 s"
    firsts, begins = window_begins(telling_time(1, num_frames=5), num_frames=1, frame_step=1, window_seconds=0.1)
    assert (firsts.tolist(), begins.tolist()) == ([1, 2, 3], [[10, 50, 90]])


def test_clips_too_short_and_settings_that_make_no_sense() -> None:
    with pytest.raises(
        ConfigError, match=r"wants 9 moments of 4 frames .* the clips have 30 frames of 0\.040 s and 1\.20 s"
    ):
        AudioVisualView(**SETTINGS | {"num_moments": 9})(telling_time(), ItemRandom(0, 0, range(6)))
    with pytest.raises(ConfigError, match="num_moments 0 must be at least 1"):
        AudioVisualView(num_moments=0)
