"""The data model refuses what does not fit, in one line."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mmssl.errors import LabelError
from mmssl.propagation.video_labels import FrameLabels, LabelObject, VideoLabels, object_with_points

MASK = LabelObject(1, "dog", "mask")
BOX = LabelObject(2, "ball", "box")
BODY = LabelObject(3, "fly", "keypoints", ("head", "tail"), ((0, 1),))
POINT = LabelObject(4, "tip", "point")


def seen() -> FrameLabels:
    return FrameLabels(
        mask=np.array([[0, 1, 1], [0, 0, 0]], dtype=np.uint8),
        boxes={2: np.array([0.0, 0.5, 3.0, 2.0])},
        keypoints={3: np.array([[0.5, 0.5], [np.nan, np.nan]]), 4: np.array([[2.5, 1.5]])},
        keypoint_confidences={3: np.array([0.5, np.nan])},
        confidences={1: 0.9},
        lost=frozenset(),
    )


def made(frame: FrameLabels, *, index: int = 0, num_frames: int | None = 3) -> VideoLabels:
    return VideoLabels((2, 3), num_frames, (MASK, BOX, BODY, POINT), {index: frame})


def test_labels_of_every_kind_on_one_frame() -> None:
    labels = made(seen(), index=2)
    assert labels.kinds() == {"mask", "box", "keypoints", "point"}
    assert labels.object(3).point_names == ("head", "tail")
    assert labels.object(4).point_names == ("point",)
    only = labels.of_kinds(["box"])
    assert only.objects == (BOX,)
    assert only.frames[2].mask is None
    assert not only.frames[2].keypoints
    with pytest.raises(LabelError, match=r"no object has the id 9; ids are \[1, 2, 3, 4\]"):
        labels.object(9)


INF = float("inf")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mask": np.zeros((3, 3), np.uint8)}, "the mask has 3 x 3 pixels, the video 3 x 2"),
        (
            {"mask": np.full((2, 3), 7, np.uint8)},
            "a mask belongs to object 7, which is not among the objects [1, 2, 3, 4]",
        ),
        ({"mask": np.full((2, 3), 2, np.uint16)}, "a mask is given for object 2 (ball), which is labeled as 'box'"),
        (
            {"boxes": {2: np.array([0.0, np.nan, 1.0, 1.0])}},
            "the box of object 2 (ball) has a coordinate that is not a finite",
        ),
        ({"boxes": {2: np.array([1.0, 0.0, 1.0, 1.0])}}, "the box of object 2 (ball) has no area"),
        (
            {"boxes": {1: np.array([0.0, 0.0, 1.0, 1.0])}},
            "a box is given for object 1 (dog), which is labeled as 'mask'",
        ),
        ({"keypoints": {3: np.zeros((3, 2))}}, "object 3 (fly) has 2 points, but 3 are given"),
        (
            {"keypoints": {3: np.array([[np.nan, 1.0], [0.0, 0.0]])}},
            "a point of object 3 (fly) is not two finite numbers",
        ),
        ({"keypoints": {3: np.array([[INF, INF], [0.0, 0.0]])}}, "a point of object 3 (fly) is not two finite numbers"),
        ({"keypoints": {9: np.zeros((1, 2))}}, "points belongs to object 9"),
        ({"keypoint_confidences": {3: np.zeros(1)}}, "object 3 (fly) needs one confidence a point"),
        ({"confidences": {1: INF}}, "the confidence of object 1 (dog) is inf"),
        ({"lost": frozenset({9})}, "a lost flag belongs to object 9"),
    ],
)
def test_a_frame_that_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(LabelError) as caught:
        made(replace(seen(), **({"keypoint_confidences": {}} | change)))
    assert message in str(caught.value)
    assert str(caught.value).startswith("frame 0: ")
    assert "\n" not in str(caught.value)


def test_frames_outside_of_the_video_are_refused() -> None:
    with pytest.raises(LabelError, match=r"frame 3 is past the end; the video has 3 frames, numbered 0 to 2"):
        made(seen(), index=3)
    with pytest.raises(LabelError, match=r"frame -1: frames count from 0"):
        made(seen(), index=-1, num_frames=None)
    assert made(seen(), index=3, num_frames=None).frames


def test_empty_labels_are_refused() -> None:
    empty = FrameLabels(mask=np.zeros((2, 3), np.uint8), keypoints={3: np.full((2, 2), np.nan)}, lost=frozenset({1}))
    assert not empty.holds_labels
    with pytest.raises(LabelError, match=r"the labels are empty"):
        made(empty)
    with pytest.raises(LabelError, match=r"the labels are empty"):
        VideoLabels((2, 3), 3, (MASK,), {})
    with pytest.raises(LabelError, match=r"the labels are empty"):
        made(replace(seen(), boxes={})).of_kinds(["box"])


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"id": 0}, "the id must be 1 to 65535; 0 is the background"),
        ({"id": 65536}, "the id must be 1 to 65535"),
        ({"name": ""}, "has no name"),
        ({"keypoint_names": ("a",)}, "keypoint names belong to objects of the kind 'keypoints'"),
        ({"kind": "keypoints"}, "keypoint names belong to objects of the kind 'keypoints'"),
        ({"kind": "keypoints", "keypoint_names": ("a", "b", "a")}, "the keypoint name 'a' stands twice"),
        ({"kind": "keypoints", "keypoint_names": ("a",), "skeleton": ((0, 1),)}, "does not join two of 1 keypoints"),
        ({"color": (0, 0, 256)}, "is not RGB of 0 to 255"),
    ],
)
def test_objects_that_contradict_themselves(facts: dict[str, Any], message: str) -> None:
    with pytest.raises(LabelError) as caught:
        LabelObject(**({"id": 1, "name": "x", "kind": "mask"} | facts))
    assert message in str(caught.value)


def test_two_objects_of_one_id_and_a_size_of_nothing() -> None:
    with pytest.raises(LabelError, match=r"two objects have the id 1"):
        VideoLabels((2, 3), None, (MASK, LabelObject(1, "other", "box")), {0: seen()})
    with pytest.raises(LabelError, match=r"a video of 3 x 0 pixels"):
        VideoLabels((0, 3), None, (), {})


def test_the_conventional_name_makes_a_free_point() -> None:
    assert object_with_points(1, "a", ("point",)) == LabelObject(1, "a", "point")
    assert object_with_points(1, "a", ("tip",)).kind == "keypoints"
