import pytest
import torch
from torch.testing import assert_close

from mmssl.config import build, check
from mmssl.errors import ConfigError
from mmssl.functional.random import ItemRandom
from mmssl.views import VIEW_CHOICE, VIEWS, CenterView, FramesView, SimCLRView

CLIPS = torch.randint(0, 256, (5, 6, 3, 50, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


PICTURE_VIEWS = sorted(set(VIEWS) - {"audio_visual", "sound", "sound_pair"})

SIDES = {"patches": 8, "local": 14, "pair": 7, "tiles": 9}
"""Of parts of a view that are not as large as it."""


@pytest.mark.parametrize("name", PICTURE_VIEWS)
def test_a_view_gives_images_in_range_and_moves_no_global_randomness(name: str) -> None:
    before = torch.get_rng_state()
    batch = build({"name": name, "size": 32}, VIEW_CHOICE)(CLIPS, ItemRandom(0, 0, range(5)))
    assert torch.equal(torch.get_rng_state(), before)
    assert {len(values) for values in batch.values()} == {5}
    for key, images in batch.items():
        if images.ndim < 4:
            continue
        side = SIDES.get(key, 32)
        assert images.dtype == torch.float32
        assert tuple(images.shape[-3:]) == (3, side, side)
        assert images.min() >= 0
        assert images.max() <= 1


@pytest.mark.parametrize("name", PICTURE_VIEWS)
def test_an_item_becomes_the_same_in_any_batch(name: str) -> None:
    view = build({"name": name, "size": 32}, VIEW_CHOICE)
    together = view(CLIPS, ItemRandom(7, 1, [10, 11, 12, 13, 14]))
    order = [3, 0]
    apart = view(CLIPS[order], ItemRandom(7, 1, [13, 10]))
    for key, images in apart.items():
        assert_close(images, together[key][order], atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["frames", "patches", "separate_crops", "simclr"])
def test_items_epochs_and_seeds_differ(name: str) -> None:
    view = build({"name": name, "size": 24}, VIEW_CHOICE)
    same = CLIPS[:1].expand(3, *CLIPS.shape[1:])
    batch = view(same, ItemRandom(0, 0, [0, 1, 2]))
    for key, images in batch.items():
        assert not torch.equal(images[0], images[1])
        assert not torch.equal(images, view(same, ItemRandom(0, 1, [0, 1, 2]))[key])
        assert not torch.equal(images, view(same, ItemRandom(1, 0, [0, 1, 2]))[key])


def test_simclr_views_differ_and_take_one_frame() -> None:
    batch = SimCLRView(size=24)(CLIPS, ItemRandom(0, 0, range(5)))
    assert sorted(batch) == ["view_1", "view_2"]
    assert not torch.equal(batch["view_1"], batch["view_2"])
    levels = torch.arange(6, dtype=torch.uint8)[None, :, None, None, None] * 40
    plain = SimCLRView(size=8, jitter_probability=0.0, grey_probability=0.0, blur_probability=0.0)
    batch = plain(levels.expand(5, 6, 3, 20, 20).contiguous(), ItemRandom(0, 0, range(5)))
    assert_close(batch["view_1"], batch["view_2"])


def test_frames_go_through_one_crop_in_order() -> None:
    still = CLIPS[:, :1].expand(-1, 6, -1, -1, -1)
    frames = FramesView(size=16, num_frames=3)(still, ItemRandom(0, 0, range(5)))["frames"]
    assert frames.shape == (5, 3, 3, 16, 16)
    assert_close(frames, frames[:, :1].expand_as(frames))
    levels = (torch.arange(6, dtype=torch.uint8) * 40)[None, :, None, None, None].expand(40, 6, 3, 20, 20).contiguous()
    frames = FramesView(size=4, num_frames=3, frame_step=2)(levels, ItemRandom(0, 0, range(40)))["frames"]
    taken = (frames[:, :, 0, 0, 0] * 255 / 40).round().long()
    assert {tuple(positions) for positions in taken.tolist()} == {(0, 2, 4), (1, 3, 5)}


def test_references_go_through_crops_of_their_own_near_that_of_the_target() -> None:
    ramp = torch.arange(60, dtype=torch.uint8).expand(8, 2, 3, 40, 60).contiguous()
    plain = FramesView(size=8, num_frames=2)(ramp, ItemRandom(0, 0, range(8)))["frames"]
    moved = FramesView(size=8, num_frames=2, reference_zoom=1.4, reference_shift=0.2)(ramp, ItemRandom(0, 0, range(8)))
    reference, target = moved["frames"].unbind(1)
    assert torch.equal(target, plain[:, 1])
    width, place = (plain[:, 0].amax((1, 2, 3)) - plain[:, 0].amin((1, 2, 3))), plain[:, 0].mean((1, 2, 3))
    assert not torch.equal(reference, plain[:, 0])
    assert ((reference.mean((1, 2, 3)) - place).abs() < 0.4 * width).all()
    with pytest.raises(ConfigError, match="reference_zoom is"):
        FramesView(reference_zoom=0.5)


def test_frames_refuses_clips_that_are_too_short() -> None:
    with pytest.raises(ConfigError, match="at least 7 frames"):
        FramesView(num_frames=4, frame_step=2)(CLIPS, ItemRandom(0, 0, range(5)))


def levels(num_frames: int) -> torch.Tensor:
    """Clips whose frames carry their number as a level of grey."""
    numbers = torch.arange(num_frames, dtype=torch.uint8)[None, :, None, None, None] * 10
    return numbers.expand(60, num_frames, 3, 20, 20).contiguous()


def taken(view: FramesView, num_frames: int = 12) -> set[tuple[int, ...]]:
    frames = view(levels(num_frames), ItemRandom(0, 0, range(60)))["frames"]
    return {tuple(numbers) for numbers in (frames[:, :, 0, 0, 0] * 25.5).round().long().tolist()}


def test_references_lie_so_many_frames_before_the_target() -> None:
    assert taken(FramesView(size=4, references=[1, 10, 3])) == {(0, 7, 9, 10), (1, 8, 10, 11)}
    with pytest.raises(ConfigError, match="at least 17 frames"):
        taken(FramesView(size=4, references=[16, 1]))


def test_a_step_between_two_numbers_is_drawn_for_each_item() -> None:
    pairs = taken(FramesView(size=4, num_frames=2, frame_step=(2, 4)), num_frames=8)
    assert {late - early for early, late in pairs} == {2, 3, 4}
    assert {late for _, late in pairs} <= set(range(2, 8))


def test_channels_are_hidden_as_often_as_asked_for() -> None:
    clips, items = CLIPS[:1].expand(2000, -1, -1, -1, -1)[:, :1], range(2000)
    view = FramesView(size=1, num_frames=1, channel_dropout={"ab": 0.5, "L": 0.2})
    visible = view(clips, ItemRandom(0, 0, items))["visible"]
    kinds, counts = visible.unique(dim=0, return_counts=True)
    assert kinds.tolist() == [[0, 1, 1], [1, 0, 0], [1, 1, 1]]
    assert_close(counts / 2000, torch.tensor([0.2, 0.5, 0.3]), atol=0.04, rtol=0)
    mast = FramesView(size=1, num_frames=1, channel_dropout={"a": 0.5, "b": 0.5})(clips, ItemRandom(0, 0, items))
    assert {tuple(kind) for kind in mast["visible"].tolist()} == {(1, 0, 1), (1, 1, 0)}


@pytest.mark.parametrize("dropout", [{"x": 0.1}, {"": 0.1}, {"a": -0.1}, {"a": 0.6, "b": 0.5}])
def test_channel_dropout_that_makes_no_sense_is_refused(dropout: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="channel_dropout"):
        FramesView(channel_dropout=dropout)


def test_jitter_changes_what_is_seen_frame_by_frame_and_not_the_frames() -> None:
    plain = FramesView(size=8, num_frames=2)(CLIPS, ItemRandom(0, 0, range(5)))
    jittered = FramesView(size=8, num_frames=2, jitter_strength=0.8)(CLIPS, ItemRandom(0, 0, range(5)))
    assert torch.equal(plain["frames"], jittered["frames"])
    changes = (jittered["seen"] - jittered["frames"]).mean((2, 3, 4))
    assert (changes[:, 0] - changes[:, 1]).abs().max() > 0.01


def test_center_takes_the_middle_square() -> None:
    frames = CenterView(size=40)(CLIPS, ItemRandom(0, 0, range(5)))["frames"]
    assert_close(frames, CLIPS[..., 5:45, :].float() / 255)


def test_settings_are_checked() -> None:
    faults = check({"name": "simclr", "size": "wide", "scale": [0.1], "blurr": 1}, VIEW_CHOICE)
    assert len(faults) == 3
