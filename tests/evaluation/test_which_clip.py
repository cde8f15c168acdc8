from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mmssl.data.dataset import ClipItem
from mmssl.errors import EvaluationError
from mmssl.evaluation.subject import Subject
from mmssl.evaluation.which_clip import ChangeAlone, which_clip
from mmssl.models.loading import load_encoder

FRAMES, SIDE = 5, 32


class Windows:
    """Four videos of five windows: each before its own background, with a spot on a path of its own or not."""

    digest = "windows"

    def __init__(self, *, background: bool, motion: bool) -> None:
        generator = torch.Generator().manual_seed(3)
        self._pixels = torch.full((20, FRAMES, 3, SIDE, SIDE), 60, dtype=torch.uint8)
        for video in range(4):
            picture = torch.randint(0, 200, (3, SIDE, SIDE), generator=generator, dtype=torch.uint8)
            for window in range(5):
                clip = self._pixels[video * 5 + window]
                if background:
                    clip.copy_(picture)
                for frame in range(FRAMES if motion else 0):
                    top, left = (video % 2) * 16 + 2 * frame, (video // 2) * 16 + 2 * frame
                    clip[frame, :, top : top + 8, left : left + 8] = 250

    @property
    def items(self) -> Sequence[ClipItem]:
        return [
            ClipItem(f"v{i // 5}#{i % 5}", f"v{i // 5}", None, None, f"v{i // 5}", None, (float(i % 5), i % 5 + 0.9))
            for i in range(20)
        ]

    def __len__(self) -> int:
        return 20

    def clips(self, indices: Sequence[int], *, epoch: int = 0) -> Tensor:
        return self._pixels[list(indices)]


def scores(windows: Windows, out: Path | None = None) -> dict[str, float]:
    rows = which_clip(Subject(load_encoder("pixels"), "made", clips=windows, out=out), num_steps=40)
    assert {row.num_items for row in rows} == {8}
    assert {row.value for row in rows if row.encoder == "chance" and row.metric.startswith("top1")} == {0.25}
    return {row.metric: row.value for row in rows if row.encoder == "pixels" and row.value is not None}


def test_background_alone_is_found_until_it_is_taken_away() -> None:
    found = scores(Windows(background=True, motion=False))
    assert found["top1 mean"] == 1
    assert found["top1 mean of change alone"] == 0.25
    assert found["order accuracy"] == 0.5
    assert found["sorting accuracy"] == pytest.approx(1 / 12)


def test_motion_alone_is_found_with_and_without_what_stays(tmp_path: Path) -> None:
    found = scores(Windows(background=False, motion=True), tmp_path)
    assert found["top1 mean"] == found["top1 std"] == found["top1 mean of change alone"] == 1
    assert found["reciprocal rank mean"] == 1
    assert found["order accuracy"] > 0.9
    assert found["sorting accuracy"] > 0.9
    assert (tmp_path / "order_by_video.png").stat().st_size > 1000


def test_the_order_of_a_video_without_motion_is_a_guess() -> None:
    """The background of each window is the same in all orders, so that only the windows in which something moves tell."""
    windows = Windows(background=True, motion=True)
    windows._pixels[:5] = windows._pixels[:5, :1]
    rows = which_clip(Subject(load_encoder("pixels"), "made", clips=windows), num_steps=40)
    (row,) = (row for row in rows if row.metric == "order accuracy" and row.encoder == "pixels")
    assert row.detail["videos"]["v0"] == 0.5
    assert min(row.detail["videos"][f"v{video}"] for video in (1, 2, 3)) > 0.9


def test_windows_too_short_to_order_are_refused() -> None:
    with pytest.raises(EvaluationError, match="at least 9 frames, these have 5"):
        which_clip(Subject(load_encoder("pixels"), "made", clips=Windows(background=True, motion=True)), max_step=2)


def test_change_alone_is_the_frame_less_the_median() -> None:
    windows = Windows(background=True, motion=True)
    clip, change = windows.clips([3])[0].numpy().astype(int), ChangeAlone(windows).clips([3])[0].numpy()
    expected = clip - np.sort(clip, axis=0)[(FRAMES - 1) // 2] + 128
    assert np.array_equal(change, expected.clip(0, 255))
    assert ChangeAlone(windows).digest != windows.digest


def test_clips_without_times_or_without_two_halves_are_refused() -> None:
    class Timeless(Windows):
        @property
        def items(self) -> Sequence[ClipItem]:
            return [ClipItem(f"v{i}#0", f"v{i}", None, None, f"v{i}", None, self.times) for i in range(20)]

        times: tuple[float, ...] = ()

    windows = Timeless(background=True, motion=True)
    with pytest.raises(EvaluationError, match="no timestamps"):
        which_clip(Subject(load_encoder("pixels"), "made", clips=windows))
    windows.times = (0.0, 1.0)
    with pytest.raises(EvaluationError, match="0 videos have windows"):
        which_clip(Subject(load_encoder("pixels"), "made", clips=windows))
