"""Written videos are whole, true to their frames, and the same bytes each time."""

from fractions import Fraction
from pathlib import Path

import pytest
import torch

from mmssl.errors import MediaError
from mmssl.media.encode import VideoWriter
from mmssl.media.video import open_video
from tests.media.numbered import picture


def write(path: Path, *, size: tuple[int, int], count: int = 10) -> torch.Tensor:
    height, width = size
    frames = torch.stack(
        [torch.from_numpy(picture(number, width=width, height=height)).permute(2, 0, 1) for number in range(count)]
    )
    with VideoWriter(path, fps=12.5, size=size) as writer:
        for frame in frames:
            writer.write(frame)
    return frames


@pytest.mark.parametrize("size", [(96, 128), (95, 127)])
def test_colors_survive_and_odd_sizes_are_padded(size: tuple[int, int], tmp_path: Path) -> None:
    frames = write(tmp_path / "a.mp4", size=size)
    with open_video(tmp_path / "a.mp4") as video:
        assert video.size == (96, 128)
        assert video.pts_seconds.tolist() == pytest.approx([number * 0.08 for number in range(10)])
        got = video.frames(range(10))[:, :, : size[0], : size[1]]
    assert float((got.float() - frames.float()).abs().mean()) < 4.0


def test_same_frames_same_bytes(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        write(tmp_path / name, size=(96, 128))
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


@pytest.mark.parametrize("fps", [10, 12.5, Fraction(30000, 1001)])
def test_any_number_is_a_frame_rate(fps: int | float | Fraction, tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", fps=fps, size=(16, 16)) as writer:
        for _ in range(3):
            writer.write(torch.zeros(3, 16, 16, dtype=torch.uint8))
    with open_video(tmp_path / "a.mp4") as video:
        assert video.pts_seconds.tolist() == pytest.approx([0, 1 / fps, 2 / fps], abs=1e-6)


def test_nothing_is_left_of_a_video_that_failed(tmp_path: Path) -> None:
    def write_two_sizes() -> None:
        with VideoWriter(tmp_path / "a.mp4", fps=5, size=(16, 16)) as writer:
            writer.write(torch.zeros(3, 16, 16, dtype=torch.uint8))
            writer.write(torch.zeros(3, 16, 18, dtype=torch.uint8))

    with pytest.raises(MediaError, match="frame of size"):
        write_two_sizes()
    with pytest.raises(MediaError, match="no frame was written"), VideoWriter(tmp_path / "b.mp4", fps=5, size=(16, 16)):
        pass
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(MediaError, match="cannot be written"):
        VideoWriter(tmp_path / "missing" / "a.mp4", fps=5, size=(16, 16))
