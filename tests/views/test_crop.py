import torch
from torch.nn import functional
from torch.testing import assert_close

from mmssl.functional.random import ItemRandom
from mmssl.views.crop import cut, moved_boxes, random_boxes


def boxes(items: int, **settings: object) -> torch.Tensor:
    known = {"height": 60, "width": 90, "scale": (0.1, 0.4), **settings}
    return random_boxes(ItemRandom(0, 0, range(items)), "crop", **known)  # type: ignore[arg-type]


def test_boxes_lie_in_the_image_with_the_areas_and_ratios_asked_for() -> None:
    top, left, height, width = boxes(2000).unbind(1)
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height <= 60).all()
    assert (left + width <= 90).all()
    share = height * width / (60 * 90)
    assert share.min() > 0.09
    assert share.max() < 0.42
    assert abs(share.mean().item() - 0.25) < 0.01
    ratio = (width / height).log()
    assert ratio.abs().max() < 0.34
    assert abs(ratio.mean().item()) < 0.02


def test_every_corner_can_be_reached() -> None:
    top, left, height, width = boxes(4000, height=8, width=8, scale=(0.2, 0.3)).unbind(1)
    for at_edge in (top == 0, left == 0, top + height == 8, left + width == 8):
        assert at_edge.float().mean() > 0.1


def test_a_box_that_never_fits_becomes_the_central_one() -> None:
    assert boxes(3, height=10, width=100, scale=(1.0, 1.0)).tolist() == [[0, 43, 10, 13]] * 3
    assert boxes(3, height=100, width=10, scale=(1.0, 1.0)).tolist() == [[43, 0, 13, 10]] * 3


def test_moved_boxes_keep_their_shape_and_stay_near_and_in_the_image() -> None:
    given = boxes(3000)
    moved = moved_boxes(given, ItemRandom(0, 0, range(3000)), "a", height=60, width=90, zoom=1.5, shift=0.25)
    assert (moved[:, :2] >= 0).all()
    assert (moved[:, :2] + moved[:, 2:] <= torch.tensor([60, 90])).all()
    grown = moved[:, 2:] / given[:, 2:]
    assert grown.min() > 0.62
    assert grown.max() < 1.56
    assert abs(grown.log().mean().item()) < 0.05
    assert (grown[:, 0] - grown[:, 1]).abs().max() < 0.12
    way = (moved[:, :2] + moved[:, 2:] / 2 - given[:, :2] - given[:, 2:] / 2) / given[:, 2:]
    assert way[:, 0].min() < -0.2
    assert way[:, 0].max() > 0.2
    assert torch.equal(
        moved_boxes(given, ItemRandom(0, 0, range(3000)), "a", height=60, width=90, zoom=1.0, shift=0.0), given
    )


def test_cut_matches_one_image_at_a_time() -> None:
    images = torch.randint(0, 256, (4, 2, 3, 60, 90), dtype=torch.uint8)
    where, flip = boxes(4), torch.tensor([True, False, False, True])
    batch = cut(images, where, size=16, flip=flip)
    for item, (top, left, height, width) in enumerate(where.tolist()):
        for frame in range(2):
            box = images[item, frame, :, top : top + height, left : left + width].float() / 255
            slow = functional.interpolate(box[None], (16, 16), mode="bilinear", antialias=True)[0]
            assert_close(batch[item, frame], slow.flip(-1) if flip[item] else slow, atol=1.5 / 255, rtol=0)
