"""Frames are exact at random access."""

from fractions import Fraction
from pathlib import Path

import torch
from torch.testing import assert_close

from mmssl.media.encode import VideoWriter
from mmssl.media.video import open_video


def test_lossless_video_comes_back_as_written(tmp_path: Path) -> None:
    frames = torch.randint(0, 256, (7, 3, 17, 33), dtype=torch.uint8)
    with VideoWriter(tmp_path / "a.mp4", fps=Fraction(30000, 1001), size=(17, 33), lossless=True) as writer:
        for frame in frames:
            writer.write(frame)
    with open_video(tmp_path / "a.mp4") as video:
        assert video.num_frames == 7
        assert_close(video.frames([6, 0, 3, 3]), frames[[6, 0, 3, 3]], rtol=0, atol=0)
        assert_close(video.pts_seconds, torch.arange(7, dtype=torch.float64) * 1001 / 30000)
