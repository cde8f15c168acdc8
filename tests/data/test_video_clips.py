from pathlib import Path

import pytest
import torch
from PIL import Image

from mmssl.data.dataset import ClipSource
from mmssl.data.video_clips import VideoClips
from mmssl.errors import DecodeError


def write_frames(folder: Path, count: int, *, size: tuple[int, int] = (20, 30)) -> Path:
    """A folder of frames, 25 a second, whose brightness is ten times their number."""
    folder.mkdir()
    for number in range(count):
        Image.new("RGB", size[::-1], (10 * number,) * 3).save(folder / f"{number:05}.png")
    return folder


def numbers(clips: torch.Tensor) -> list[list[int]]:
    return (clips.float().mean((2, 3, 4)) / 10).round().int().tolist()


def test_every_frame_that_can_starts_a_clip(tmp_path: Path) -> None:
    clips = VideoClips(write_frames(tmp_path / "v", 6), num_frames=2, seconds_between_frames=0.08)
    assert isinstance(clips, ClipSource)
    assert numbers(clips.clips(range(len(clips)))) == [[0, 2], [1, 3], [2, 4], [3, 5]]
    assert clips.items[1].pts_seconds == pytest.approx((0.04, 0.12))
    assert len({item.id for item in clips.items}) == 4
    assert tuple(clips.clips([3, 3]).shape) == (2, 2, 3, 20, 30)


def test_a_long_video_gives_clips_from_all_over_it(tmp_path: Path) -> None:
    clips = VideoClips(write_frames(tmp_path / "v", 21), num_frames=1, max_clips=4)
    assert numbers(clips.clips(range(4))) == [[0], [5], [10], [15]]


def test_a_short_video_has_its_frames_nearer_together(tmp_path: Path) -> None:
    clips = VideoClips(write_frames(tmp_path / "v", 3), num_frames=3, seconds_between_frames=1.0)
    assert numbers(clips.clips([0])) == [[0, 1, 2]]


def test_frames_are_reduced_and_never_enlarged(tmp_path: Path) -> None:
    video = write_frames(tmp_path / "v", 3)
    assert tuple(VideoClips(video, short_side=10).clips([0]).shape[-2:]) == (10, 15)
    assert tuple(VideoClips(video, short_side=100).clips([0]).shape[-2:]) == (20, 30)


def test_the_digest_names_pixels_and_windows(tmp_path: Path) -> None:
    video = write_frames(tmp_path / "v", 5)
    digest = VideoClips(video).digest
    assert VideoClips(video).digest == digest
    assert VideoClips(video, seconds_between_frames=0.04).digest != digest
    Image.new("RGB", (30, 20), (7, 7, 7)).save(video / "00003.png")
    assert VideoClips(video).digest != digest


def test_a_video_shorter_than_a_clip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match=r"has 1 frame\(s\), a clip needs 2"):
        VideoClips(write_frames(tmp_path / "v", 1))


def test_no_such_clip(tmp_path: Path) -> None:
    with pytest.raises(IndexError, match="clip -1 of 2"):
        VideoClips(write_frames(tmp_path / "v", 3), seconds_between_frames=0.04).clips([-1])
