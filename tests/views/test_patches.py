import pytest
import torch
from torch.testing import assert_close

from mmssl.errors import ConfigError
from mmssl.functional.random import ItemRandom
from mmssl.views.frames import FramesView
from mmssl.views.patches import PatchesView

CLIPS = torch.randint(0, 256, (5, 6, 3, 50, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
ITEMS = ItemRandom(0, 0, range(5))


def test_without_jitter_patches_are_the_grid() -> None:
    view = PatchesView(size=32, num_frames=2, patch_size=16, patch_step=8, jitter=0)
    batch = view(CLIPS, ITEMS)
    assert batch["patches"].shape == (5, 2, 9, 3, 16, 16)
    assert_close(batch["frames"], FramesView(size=32, num_frames=2, scale=(0.8, 0.95))(CLIPS, ITEMS)["frames"])
    for number, patch in enumerate(batch["patches"].unbind(2)):
        top, left = 8 * (number // 3), 8 * (number % 3)
        assert_close(patch, batch["frames"][:, :, :, top : top + 16, left : left + 16])


def test_jitter_moves_each_patch_a_little_and_stays_in_the_frame() -> None:
    view = PatchesView(size=32, num_frames=2, patch_size=16, patch_step=8, jitter=2)
    batch = view(CLIPS, ITEMS)
    moves = set()
    for item in range(5):
        for frame in range(2):
            image = batch["frames"][item, frame]
            for number, patch in enumerate(batch["patches"][item, frame]):
                places = [
                    (top - 8 * (number // 3), left - 8 * (number % 3))
                    for top in range(17)
                    for left in range(17)
                    if torch.equal(image[:, top : top + 16, left : left + 16], patch)
                ]
                assert len(places) == 1
                assert max(map(abs, places[0])) <= 2
                moves.add(places[0])
    assert len(moves) > 10


def test_the_paper_has_49_patches() -> None:
    view = PatchesView()
    assert view.side**2 == 49
    assert (view.patch_size, view.patch_step, view.jitter) == (64, 32, 8)


def test_a_patch_as_large_as_the_frame_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 2 are needed"):
        PatchesView(size=32, patch_size=32)
