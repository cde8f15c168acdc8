"""Samplers pick the frame on screen at each moment, in seconds, and say what happens past the end."""

from inspect import signature

import pytest
import torch

from mmssl.config import build
from mmssl.errors import ConfigError, DecodeError
from mmssl.functional.random import ItemRandom
from mmssl.media.sampling import SAMPLER_CHOICE, SAMPLERS, sample_clips

EVEN = torch.arange(50, dtype=torch.float64) / 10 + 3.0
UNEVEN = torch.tensor([0.0, 0.1, 0.15, 1.0, 1.01, 1.5, 3.0, 3.2], dtype=torch.float64)


def sample(spec: dict, pts: torch.Tensor, start: float | None = None, end: float | None = None, **more: object) -> list:
    item = more.pop("item", 0)
    sampler = SAMPLERS[spec["name"]](**{key: value for key, value in spec.items() if key != "name"})
    return sample_clips(sampler, pts, start_seconds=start, end_seconds=end, random=ItemRandom(7, 0, [item]), **more)


def on_screen(pts: torch.Tensor, moment: float) -> int:
    """The slow, obvious rule."""
    return max([index for index, time in enumerate(pts.tolist()) if time <= moment + 1e-6], default=0)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_gives_ascending_frames_of_the_segment(name: str) -> None:
    motion = torch.rand(50)
    for item in range(20):
        clips = sample({"name": name, "num_frames": 4}, EVEN, 4.0, 6.0, motion=motion, item=item)
        assert len(clips) >= 1
        for clip in clips:
            assert len(clip) == 4
            assert clip == sorted(clip)
            assert all(4.0 <= float(EVEN[index]) < 6.0 for index in clip)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_takes_its_defaults_and_whole_numbers(name: str) -> None:
    assert SAMPLERS[name]() == build(name, SAMPLER_CHOICE)
    assert SAMPLERS[name](num_frames=3) == build(name, SAMPLER_CHOICE, num_frames=3)
    settings = [parameter for parameter in signature(SAMPLERS[name]).parameters if parameter != "past_end"]
    assert "num_frames" in settings
    sampler = SAMPLERS[name](**dict.fromkeys(settings, 2))
    item = ItemRandom(7, 0, [0])
    clips = sample_clips(sampler, EVEN, start_seconds=4, end_seconds=7, random=item, motion=torch.ones(50))
    assert all(len(clip) == 2 and 10 <= clip[0] < clip[1] < 40 for clip in clips)
    for setting in settings:
        with pytest.raises(ConfigError, match=f"{setting} is 0; it must be above 0"):
            SAMPLERS[name](**{setting: 0})


def test_uniform_takes_the_middles_of_equal_parts() -> None:
    assert sample({"name": "uniform", "num_frames": 5}, EVEN) == [[5, 15, 25, 35, 45]]
    moments = [0.5 + (i + 0.5) * 2.5 / 6 for i in range(6)]
    wanted = [on_screen(UNEVEN, moment) for moment in moments]
    assert sample({"name": "uniform", "num_frames": 6}, UNEVEN, 0.5, 3.0) == [wanted]


def test_dense_keeps_its_spacing_on_uneven_times() -> None:
    spec = {"name": "dense", "num_frames": 4, "seconds_between_frames": 0.5}
    (clip,) = sample(spec, UNEVEN, 0.0, 3.0)
    assert clip == [on_screen(UNEVEN, 0.75 + i * 0.5) for i in range(4)]
    clips = sample({**spec, "num_clips": 3, "seconds_between_frames": 0.1}, EVEN)
    assert [clip[0] for clip in clips] == [7, 23, 39]
    assert all(clip == list(range(clip[0], clip[0] + 4)) for clip in clips)


def test_windows_slide_and_stay_whole() -> None:
    spec = {"name": "windows", "num_frames": 5, "seconds_between_frames": 0.1, "seconds_between_clips": 0.5}
    clips = sample(spec, EVEN)
    assert [clip[0] for clip in clips] == list(range(0, 46, 5))
    assert clips[-1] == [45, 46, 47, 48, 49]


def test_random_depends_on_the_item_alone_and_covers_the_segment() -> None:
    spec = {"name": "random", "num_frames": 2, "seconds_between_frames": 0.1, "num_clips": 500}
    clips = sample(spec, EVEN)
    assert clips == sample(spec, EVEN)
    assert clips != sample(spec, EVEN, item=1)
    assert {clip[0] for clip in clips} == set(range(49))


def test_motion_goes_where_things_move() -> None:
    motion = torch.zeros(50)
    motion[30:33] = 10.0
    spec = {"name": "motion", "num_frames": 3, "seconds_between_frames": 0.1, "num_clips": 100}
    clips = sample(spec, EVEN, motion=motion)
    assert {clip[0] for clip in clips} <= set(range(28, 33))
    assert len(sample(spec, EVEN, motion=torch.zeros(50))) == 100
    with pytest.raises(ConfigError, match="needs each frame's motion"):
        sample(spec, EVEN)


PAST_END = {"repeat_last": [40, 45, 49, 49, 49], "loop": [40, 45, 40, 45, 40], "shorten": [40, 45]}


@pytest.mark.parametrize("policy", PAST_END)
@pytest.mark.parametrize("name", ["random", "dense", "windows", "motion"])
def test_past_the_end(name: str, policy: str) -> None:
    spec = {"name": name, "num_frames": 5, "seconds_between_frames": 0.5, "past_end": policy}
    assert sample(spec, EVEN, 7.0, 8.0, motion=torch.ones(50)) == [PAST_END[policy]]


def test_past_the_end_is_an_error_unless_said_otherwise() -> None:
    with pytest.raises(DecodeError, match="set past_end to repeat_last, loop or shorten"):
        sample({"name": "dense", "num_frames": 20, "seconds_between_frames": 0.5}, EVEN)
    with pytest.raises(DecodeError, match="the segment ends at 99"):
        sample({"name": "uniform"}, EVEN, 3.0, 99.0)
    with pytest.raises(DecodeError, match="but the file ends at 8"):
        sample({"name": "uniform", "past_end": "loop"}, EVEN, 50.0, 99.0)
    with pytest.raises(DecodeError, match="is empty"):
        sample({"name": "uniform"}, EVEN, 5.0, 5.0)


def test_one_frame_and_wrong_settings() -> None:
    one = torch.tensor([0.0], dtype=torch.float64)
    assert sample({"name": "uniform", "num_frames": 3}, one) == [[0, 0, 0]]
    for wrong in ({"past_end": "freeze"}, {"seconds_between_frames": -1.0}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            build({"name": "dense", **wrong}, SAMPLER_CHOICE, num_frames=2)
