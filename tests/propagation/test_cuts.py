from pathlib import Path

import pytest
import torch
from torch import Tensor

from mmssl.media.video import open_video
from mmssl.propagation.cuts import cuts_of, find_cuts


def shot(seed: int, length: int) -> list[Tensor]:
    """A textured picture, tinted by its seed, that moves sideways a little from frame to frame."""
    generator = torch.Generator().manual_seed(seed)
    tint = torch.rand(3, 1, 1, generator=generator)
    coarse = torch.rand(1, 3, 5, 12, generator=generator)
    wide = torch.nn.functional.interpolate(coarse, (36, 160), mode="bilinear")[0] * 0.5 + tint * 0.5
    return [(wide[:, :, step : step + 64] * 255).to(torch.uint8) for step in range(length)]


def test_cuts_are_found_where_shots_meet() -> None:
    assert cuts_of([*shot(1, 12), *shot(2, 9), *shot(3, 15)]) == (12, 21)


def test_motion_and_fades_are_no_cuts() -> None:
    first, second = shot(1, 30), shot(2, 30)
    fade = [
        (a * (1 - k / 30) + b * (k / 30)).to(torch.uint8) for k, (a, b) in enumerate(zip(first, second, strict=True))
    ]
    assert cuts_of(fade) == ()


def test_a_flash_is_no_cut() -> None:
    frames = shot(1, 20)
    frames[8] = torch.full_like(frames[8], 255)
    assert cuts_of(frames) == ()


def test_one_and_two_frames_have_no_neighbors_to_compare_with() -> None:
    assert cuts_of(shot(1, 1)) == ()
    assert cuts_of([*shot(1, 1), *shot(2, 1)]) == (1,)


@pytest.mark.data
def test_no_cut_in_continuous_real_videos(real_data: Path) -> None:
    for folder in sorted((real_data / "davis" / "JPEGImages" / "480p").iterdir())[:4]:
        with open_video(folder) as video:
            assert find_cuts(video) == (), folder.name
