"""Made labels of every kind, and what it means that two are equal."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mmssl.propagation.video_labels import FrameLabels, LabelObject, VideoLabels

SIZE = (40, 60)
NUM_FRAMES = 8
JOINTS = ("head", "left wing", "right wing")


def _disk(center: tuple[float, float], radius: float) -> np.ndarray:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    return (columns - center[0]) ** 2 + (rows - center[1]) ** 2 < radius**2


def _frame(index: int) -> FrameLabels:
    """Two disks, a box, three joints of which one comes and goes, and a point; the second disk is gone from frame 2."""
    mask = np.zeros(SIZE, dtype=np.uint8)
    mask[_disk((12 + index, 15), 6)] = 1
    if index < 2:
        mask[_disk((45.3, 20 + index), 9.5)] = 3
    box = np.array([3.25 + index, 4.5, 20.125 + index, 31 + index / 3])
    joints = np.array([[10.5, 11.25], [7.1 + index, 30.0], [np.nan, np.nan] if index % 2 else [33.3, 12.75]])
    return FrameLabels(mask=mask, boxes={4: box}, keypoints={5: joints, 7: np.array([[0.5 + index, 39.5]])})


@pytest.fixture
def plain() -> VideoLabels:
    """Labels of all kinds on frames 0, 1, 2 and 5, without side facts but names."""
    objects = (
        LabelObject(1, "object 1", "mask"),
        LabelObject(3, "object 3", "mask"),
        LabelObject(4, "object 4", "box"),
        LabelObject(5, "object 5", "keypoints", JOINTS),
        LabelObject(7, "object 7", "point"),
    )
    return VideoLabels(SIZE, NUM_FRAMES, objects, {index: _frame(index) for index in (0, 1, 2, 5)})


@pytest.fixture
def rich(plain: VideoLabels) -> VideoLabels:
    """The same with names, colors, edges, confidences, lost flags, times, and a frame on which all is lost."""
    names = {1: "dog", 3: "cat & <co>", 4: "ball", 5: "flý", 7: "tip, of it"}
    objects = [replace(each, name=names[each.id], color=(each.id, 20, 255)) for each in plain.objects]
    objects = [replace(each, skeleton=((0, 1), (0, 2))) if each.kind == "keypoints" else each for each in objects]
    frames = {
        index: replace(
            frame,
            confidences={1: 0.25, 3: 0.125, 4: 0.5, 5: 0.75, 7: 1.0},
            keypoint_confidences={5: np.where(np.isnan(frame.keypoints[5][:, 0]), np.nan, [0.1, 0.2, 0.9])},
            lost=frozenset({3}) if index == 2 else frozenset(),
            pts_seconds=index / 30,
        )
        for index, frame in plain.frames.items()
    }
    frames[6] = FrameLabels(mask=np.zeros(SIZE, dtype=np.uint8), lost=frozenset({1, 3, 4, 5, 7}), pts_seconds=0.2)
    return VideoLabels(SIZE, NUM_FRAMES, tuple(objects), frames)


def _close(found: Mapping[int, Any], expected: Mapping[int, Any]) -> None:
    assert set(found) == set(expected)
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, atol=1e-3, rtol=0)


@pytest.fixture
def assert_same() -> Callable[..., None]:
    """Masks exactly, coordinates and confidences to a thousandth; a mask of nothing but background may be no mask."""

    def check(found: VideoLabels, expected: VideoLabels, *, names: bool = True, facts: bool = True) -> None:
        assert found.size == expected.size
        assert found.num_frames == expected.num_frames
        for one, other in zip(found.objects, expected.objects, strict=True):
            assert (one.id, one.kind, one.point_names) == (other.id, other.kind, other.point_names)
            if names:
                assert one.name == other.name
            if facts:
                assert one == other
        assert list(found.frames) == list(expected.frames)
        for index, frame in expected.frames.items():
            other = found.frames[index]
            if frame.mask is None or not frame.mask.any():
                assert other.mask is None or not other.mask.any()
            else:
                assert other.mask is not None
                np.testing.assert_array_equal(other.mask, frame.mask)
            _close(other.boxes, frame.boxes)
            _close(other.keypoints, frame.keypoints)
            if facts:
                _close(other.keypoint_confidences, frame.keypoint_confidences)
                _close(other.confidences, frame.confidences)
                assert other.lost == frame.lost
                assert other.pts_seconds == frame.pts_seconds

    return check
