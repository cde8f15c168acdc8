import math

import pytest
import torch
from torch.testing import assert_close

from mmssl.evaluation.points import box_sides, crw_distances, pck, pck_by_area, point_distances, tap_vid_shares

NAN = math.nan


def points(*frames: list[tuple[float, float]]) -> torch.Tensor:
    return torch.tensor(frames, dtype=torch.float32)


TRUTH = points([(10, 10), (50, 10), (10, 40)], [(0, 0), (NAN, NAN), (3, 4)])
"""Boxes of 40 x 30, diagonal 50, and of 3 x 4, diagonal 5."""


def test_distances() -> None:
    found = points([(13, 14), (NAN, NAN), (10, 40)], [(0, 1), (5, 5), (3, 4)])
    assert_close(point_distances(found, TRUTH), torch.tensor([[5.0, torch.inf, 0.0], [1.0, NAN, 0.0]]), equal_nan=True)


def test_boxes() -> None:
    truth = torch.cat((TRUTH, torch.full((1, 3, 2), NAN)))
    assert_close(box_sides(truth), torch.tensor([[40.0, 30.0], [3.0, 4.0], [NAN, NAN]]), equal_nan=True)


def test_pck_by_hand() -> None:
    """Limits at 0.1 are 4 and 0.4 pixels; a point at the limit, or not found, is wrong."""
    found = points([(13.9, 10), (54, 10), (NAN, NAN)], [(0, 0.3), (9, 9), (3, 4.5)])
    assert pck(found, TRUTH, alpha=0.1).tolist() == [True, False, False, True, False]
    assert pck(found, TRUTH, alpha=0.2).tolist() == [True, True, False, True, True]


def test_pck_with_boxes_of_its_own() -> None:
    found = TRUTH.nan_to_num() + torch.tensor([1.0, 0.0])
    boxes = torch.tensor([[9.0, 11.0], [NAN, NAN]])
    assert pck(found, TRUTH, alpha=0.1, boxes=boxes).tolist() == [True, True, True], "the longer side counts"


def test_pck_by_area_by_hand() -> None:
    """The root of the area is 20; the second frame has no mask."""
    found = points([(13, 10), (50, 14), (10, 36.1)], [(0, 0), (0, 0), (0, 0)])
    assert pck_by_area(found, TRUTH, torch.tensor([400.0, NAN])).tolist() == [True, False, True]


def test_crw_by_hand() -> None:
    """0.6 x diagonal is 30 in the first frame; there the third point is dropped in the second case, and the box is flat."""
    found = points([(10, 13), (50, 40), (10, 40)], [(NAN, NAN), (1, 1), (3, 4)])
    got = crw_distances(found, TRUTH)
    assert_close(got[0], torch.tensor([0.1, 1.0, 0.0]))
    assert got[1, 0].isnan(), "not found"
    assert got[1, 1].isnan(), "not annotated"
    negative = points([(10, 13), (50, 40), (-1, 40)], [(0, 0), (1, 1), (3, 4)])
    got = crw_distances(negative, TRUTH)
    assert_close(got[0], torch.tensor([3 / 24, 30 / 24, NAN]), equal_nan=True)
    assert_close(got[1], torch.tensor([0, NAN, 0]), equal_nan=True)


def test_dropping_points_makes_crw_kinder() -> None:
    found = points([(10, 10), (NAN, NAN), (NAN, NAN)], [(0, 0), (NAN, NAN), (3, 4)])
    assert pck(found, TRUTH, alpha=0.2).float().mean() == pytest.approx(3 / 5)
    kept = crw_distances(found, TRUTH)
    assert bool((kept[~kept.isnan()] <= 0.2).all())


def test_tap_vid_by_hand() -> None:
    """A frame of 512 x 128: x is halved, y doubled."""
    truth = points([(100, 50), (100, 50), (NAN, NAN)], [(100, 50), (100, 50), (100, 50)])
    found = points([(101, 50), (106, 50), (0, 0)], [(100, 52), (100, 60), (NAN, NAN)])
    distances = [0.5, 3, 4, 20, math.inf]
    wanted = [sum(distance < pixels for distance in distances) / 5 for pixels in (1, 2, 4, 8, 16)]
    assert wanted == [0.2, 0.2, 0.4, 0.6, 0.6]
    assert_close(tap_vid_shares(found, truth, size=(128, 512)), torch.tensor(wanted))
    assert tap_vid_shares(found[:1, 2:], truth[:1, 2:], size=(128, 512)).isnan().all()


def test_scale_does_not_matter_to_pck() -> None:
    torch.manual_seed(0)
    truth, noise = 50 + torch.rand(5, 4, 2) * 100, torch.randn(5, 4, 2) * 8
    for measure in (lambda a, b: pck(a, b, alpha=0.2), crw_distances):
        assert_close(measure(truth + noise, truth), measure(3 * (truth + noise), 3 * truth))
