from pathlib import Path

import torch
from torch import Tensor
from torch.testing import assert_close

from mmssl.media.video import open_video
from mmssl.models.encoder import Encoder
from mmssl.propagation.frame_encoder import FrameEncoder
from mmssl.propagation.points import propagate_points
from mmssl.propagation.presets import Preset

Squares = tuple[Path, Path, list[Tensor]]


def test_points_move_with_what_they_are_on(squares: Squares, encoder: Encoder, small_preset: Preset) -> None:
    """The squares move by 4 pixels a frame, right and left; a third point starts on frame 3."""
    nan = torch.full((2,), torch.nan)
    right, left = torch.tensor([12.0, 12.0]), torch.tensor([68.0, 36.0])
    late = torch.tensor([68.0 - 12, 36.0])
    starts = {0: torch.stack([right, left, nan]), 3: torch.stack([nan, nan, late])}
    with open_video(squares[0]) as source:
        found = {
            index: (points, confidence)
            for index, points, confidence in propagate_points(
                source,
                starts,
                encode=FrameEncoder(encoder, "patches", source.size),
                preset=small_preset,
                stop=8,
                batch_size=3,
            )
        }
    assert list(found) == list(range(8))
    assert found[2][0][2].isnan().all()
    assert found[2][1][2] == 0
    for index, (points, confidence) in found.items():
        step = torch.tensor([4.0 * index, 0])
        assert_close(points[0], right + step, atol=1.5, rtol=0)
        assert_close(points[1], left - step, atol=1.5, rtol=0)
        if index >= 3:
            assert_close(points[2], left - step, atol=1.5, rtol=0)
            assert confidence[2] > 0.1


def test_starts_at_the_first_labeled_frame(squares: Squares, encoder: Encoder, small_preset: Preset) -> None:
    with open_video(squares[0]) as source:
        indices = [
            index
            for index, _, _ in propagate_points(
                source,
                {4: torch.tensor([[30.0, 12.0]])},
                encode=FrameEncoder(encoder, "patches", (48, 48)),
                preset=small_preset,
            )
        ]
        assert indices == list(range(4, source.num_frames))
