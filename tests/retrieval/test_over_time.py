from typing import get_args

import pytest
import torch
from torch.testing import assert_close

from mmssl.retrieval.over_time import IN_WORDS, OverTime, over_time

FRAMES = torch.randn(3, 5, 2)


def test_keeps_what_it_says() -> None:
    for clip, mean, std, both, end_to_end, deviations in zip(
        FRAMES, *(over_time(FRAMES, keep=keep) for keep in get_args(OverTime)), strict=True
    ):
        expected_mean = sum(clip) / 5
        expected_std = (sum((frame - expected_mean) ** 2 for frame in clip) / 5) ** 0.5
        assert_close(mean, expected_mean)
        assert_close(std, expected_std)
        assert_close(both, torch.cat((expected_mean, expected_std)))
        assert end_to_end.tolist() == [value for frame in clip.tolist() for value in frame]
        assert_close(deviations, torch.cat([frame - expected_mean for frame in clip]))


def test_order_in_time_and_what_stays_matter_where_they_should() -> None:
    backwards, moved = FRAMES.flip(1), FRAMES + torch.tensor([3.0, -1.0])
    for keep, by_order, by_what_stays in (
        ("mean", False, True),
        ("std", False, False),
        ("mean_std", False, True),
        ("concat", True, True),
        ("deviations", True, False),
    ):
        kept = over_time(FRAMES, keep=keep)
        assert torch.allclose(over_time(backwards, keep=keep), kept, atol=1e-5) != by_order
        assert torch.allclose(over_time(moved, keep=keep), kept, atol=1e-5) != by_what_stays


@pytest.mark.parametrize("keep", get_args(OverTime))
def test_every_way_has_words(keep: OverTime) -> None:
    assert IN_WORDS[keep]
