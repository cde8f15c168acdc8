import pytest
import torch
from torch.testing import assert_close

from mmssl.config import build, check
from mmssl.errors import ConfigError
from mmssl.functional.random import ItemRandom
from mmssl.views import VIEW_CHOICE, VIEWS, CenterView, FramesView, SimCLRView

CLIPS = torch.randint(0, 256, (5, 6, 3, 50, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", sorted(VIEWS))
def test_a_view_gives_images_in_range_and_moves_no_global_randomness(name: str) -> None:
    before = torch.get_rng_state()
    batch = build({"name": name, "size": 32}, VIEW_CHOICE)(CLIPS, ItemRandom(0, 0, range(5)))
    assert torch.equal(torch.get_rng_state(), before)
    assert {len(values) for values in batch.values()} == {5}
    for key, images in batch.items():
        if images.ndim < 4:
            continue
        side = 8 if key == "patches" else 32
        assert images.dtype == torch.float32
        assert tuple(images.shape[-3:]) == (3, side, side)
        assert images.min() >= 0
        assert images.max() <= 1


@pytest.mark.parametrize("name", sorted(VIEWS))
def test_an_item_becomes_the_same_in_any_batch(name: str) -> None:
    view = build({"name": name, "size": 24}, VIEW_CHOICE)
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


def test_frames_refuses_clips_that_are_too_short() -> None:
    with pytest.raises(ConfigError, match="at least 7 frames"):
        FramesView(num_frames=4, frame_step=2)(CLIPS, ItemRandom(0, 0, range(5)))


def test_center_takes_the_middle_square() -> None:
    frames = CenterView(size=40)(CLIPS, ItemRandom(0, 0, range(5)))["frames"]
    assert_close(frames, CLIPS[..., 5:45, :].float() / 255)


def test_settings_are_checked() -> None:
    faults = check({"name": "simclr", "size": "wide", "scale": [0.1], "blurr": 1}, VIEW_CHOICE)
    assert len(faults) == 3
