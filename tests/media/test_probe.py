"""Probing finds what readers then give; real files of many makes."""

import random
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import torch

from mmssl.media.image import write_png
from mmssl.media.probe import Probe, probe
from mmssl.media.video import open_video
from tests.media.numbered import picture, rotate_mp4, write_numbered


def test_kinds_of_media(tmp_path: Path) -> None:
    write_numbered(tmp_path / "a.mp4", num_frames=10, codec="libx264")
    rotate_mp4(tmp_path / "a.mp4", 1)
    facts = probe(tmp_path / "a.mp4")
    assert (facts.media_type, facts.num_frames, facts.width, facts.height) == ("video", 10, 96, 128)
    assert (facts.duration_seconds, facts.fps) == pytest.approx((0.4, 25.0))
    assert (facts.sample_rate, facts.streams) == (None, ("video:h264",))
    soundfile.write(tmp_path / "a.wav", np.zeros((8000, 2)), 16000)
    assert probe(tmp_path / "a.wav") == Probe(
        "audio", 0.5, sample_rate=16000, num_channels=2, streams=("audio:pcm_16",)
    )
    (tmp_path / "frames").mkdir()
    for number in range(3):
        write_png(tmp_path / "frames" / f"{number}.png", torch.from_numpy(picture(number)).permute(2, 0, 1))
    assert probe(tmp_path / "frames" / "0.png") == Probe(
        "image", width=128, height=96, num_frames=1, streams=("image",)
    )
    facts = probe(tmp_path / "frames")
    assert (facts.media_type, facts.num_frames, facts.width, facts.height) == ("video", 3, 128, 96)
    write_numbered(tmp_path / "a.gif", num_frames=4, codec="gif", pix_fmt="rgb8")
    assert (probe(tmp_path / "a.gif").media_type, probe(tmp_path / "a.gif").num_frames) == ("video", 4)


def presented(path: Path, keep: set[int]) -> tuple[int, dict[int, torch.Tensor]]:
    """How many frames PyAV presents in order, and some of them."""
    kept = {}
    count = 0
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0):
            if count in keep:
                turned = np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90)
                kept[count] = torch.from_numpy(turned.copy()).permute(2, 0, 1)
            count += 1
    return count, kept


def check_real_videos(folder: Path, *, largest_bytes: int, num_checked: int) -> None:
    files = [file for file in sorted(folder.iterdir()) if file.stat().st_size <= largest_bytes]
    assert len(files) >= 10
    for file in files:
        with open_video(file) as video:
            draw = random.Random(file.name)
            chosen = {draw.randrange(video.num_frames) for _ in range(num_checked)} | {video.num_frames - 1}
            count, exact = presented(file, chosen)
            assert video.num_frames == count, file.name
            for index in draw.sample(sorted(chosen), len(chosen)):
                assert torch.equal(video.frames([index])[0], exact[index]), (file.name, index)


@pytest.mark.data
def test_every_real_video_opens(real_data: Path) -> None:
    files = sorted((real_data / "videos").iterdir())
    assert len(files) >= 35
    for file in files:
        facts = probe(file)
        assert facts.media_type == "video"
        assert facts.num_frames
        assert facts.duration_seconds
        assert facts.duration_seconds > 0.5


@pytest.mark.data
def test_real_videos_are_exact_at_random(real_data: Path) -> None:
    check_real_videos(real_data / "videos", largest_bytes=700_000, num_checked=2)


@pytest.mark.data
@pytest.mark.slow
def test_all_real_videos_are_exact_at_random(real_data: Path) -> None:
    check_real_videos(real_data / "videos", largest_bytes=1 << 40, num_checked=10)
