import pytest
import torch
from torch import nn

from mmssl.errors import ConfigError
from mmssl.models.encoder import Encoder
from mmssl.objectives.frame_order import FrameOrder
from mmssl.objectives.frame_sorting import FrameSorting
from mmssl.objectives.time_contrast import TimeContrast


class Clock(Encoder):
    """Reads the time that a frame's color shows, as two numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.input, self.stride, self.dim, self.feature_dim = "rgb", 8, 2, 2
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        time = images[:, 0].mean((1, 2))
        return self.scale * torch.stack((time, time.square()), dim=1)


def clips_of_times(num_clips: int, num_frames: int) -> torch.Tensor:
    times = torch.rand(num_clips, num_frames).sort(1).values
    return times[:, :, None, None, None].expand(-1, -1, 3, 8, 8).contiguous()


@pytest.mark.parametrize(("name", "num_frames", "chance"), [(FrameOrder, 5, 0.5), (FrameSorting, 4, 1 / 12)])
def test_learns_the_order_where_frames_show_the_time(name: type, num_frames: int, chance: float) -> None:
    torch.manual_seed(0)
    objective = name(Clock())
    optimizer = torch.optim.AdamW(objective.parameters(), lr=0.02)
    first = objective({"frames": clips_of_times(64, num_frames)})["accuracy"].item()
    for _ in range(80):
        output = objective({"frames": clips_of_times(64, num_frames)})
        optimizer.zero_grad()
        output["loss"].backward()
        optimizer.step()
    assert abs(first - chance) < 0.2
    assert output["accuracy"] > chance + 0.3


@pytest.mark.parametrize(("name", "num_frames", "chance"), [(FrameOrder, 5, 0.5), (FrameSorting, 4, 1 / 12)])
def test_frames_that_are_alike_leave_guessing(name: type, num_frames: int, chance: float) -> None:
    frames = clips_of_times(8, 1).expand(-1, num_frames, -1, -1, -1)
    assert name(Clock())({"frames": frames})["accuracy"].item() == pytest.approx(chance, abs=1e-6)


@pytest.mark.parametrize(("name", "num_frames", "asked"), [(FrameOrder, 5, 3), (FrameSorting, 4, 4)])
def test_what_the_head_compares(name: type, num_frames: int, asked: int) -> None:
    """Differences do not change where all embeddings move by the same; the embeddings themselves do."""
    frames = clips_of_times(6, num_frames)
    for compare, moves in (("differences", False), ("embeddings", True)):
        torch.manual_seed(0)
        objective = name(Clock(), compare=compare).eval()
        embeddings = torch.rand(6, asked, 2)
        shown = objective.head(embeddings)
        moved = objective.head(embeddings + 1.0)
        assert torch.allclose(shown, moved, atol=1e-5) != moves
        assert torch.isfinite(objective({"frames": frames})["loss"])


@pytest.mark.parametrize("name", [FrameOrder, FrameSorting])
def test_another_number_of_frames_is_refused(name: type) -> None:
    with pytest.raises(ConfigError, match="set num_frames"):
        name(Clock())({"frames": clips_of_times(4, 3)})


def test_time_contrast_prefers_the_near_frame() -> None:
    torch.manual_seed(0)
    objective = TimeContrast(Clock(), hidden_dim=16, projection_dim=4)
    anchor = torch.rand(32, 1)
    times = torch.cat((anchor, anchor + 0.01, (anchor + torch.tensor([[0.4, 0.6]])) % 1), dim=1)
    frames = times[:, :, None, None, None].expand(-1, -1, 3, 8, 8)
    optimizer = torch.optim.AdamW(objective.parameters(), lr=0.02)
    for _ in range(40):
        output = objective({"frames": frames})
        optimizer.zero_grad()
        output["loss"].backward()
        optimizer.step()
    assert output["accuracy"] > 0.8
