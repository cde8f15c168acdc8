import numpy as np
import pytest

from mmssl.errors import LabelError
from mmssl.propagation.segments import Segment, plan
from mmssl.propagation.video_labels import FrameLabels, LabelObject, VideoLabels

MASK, BOX = LabelObject(1, "mask", "mask"), LabelObject(2, "box", "box")
EDGES = np.array([1.0, 1.0, 3.0, 3.0])


def mask(value: int = 1) -> np.ndarray:
    return np.full((4, 4), value, dtype=np.uint8)


def labels_on(**frames: FrameLabels) -> VideoLabels:
    found = {int(name[1:]): frame for name, frame in frames.items()}
    kinds = {key for frame in found.values() for key in frame.boxes}
    return VideoLabels((4, 4), 20, (MASK, BOX) if kinds else (MASK,), found)


def test_labeled_frames_cut_the_video() -> None:
    (group,) = plan(labels_on(f5=FrameLabels(mask=mask()), f9=FrameLabels(mask=mask())), num_frames=20)
    assert group.segments == (Segment(0, 5, None, 5), Segment(5, 9, 5, 9), Segment(9, 20, 9, None))


def test_a_label_on_the_first_frame_leaves_nothing_before_it() -> None:
    (group,) = plan(labels_on(f0=FrameLabels(mask=mask())), num_frames=20)
    assert group.segments == (Segment(0, 20, 0, None),)


@pytest.mark.parametrize(
    ("cuts", "segments"),
    [
        ((7,), [Segment(5, 7, 5, None), Segment(7, 9, None, 9)]),
        ((9,), [Segment(5, 9, 5, None)]),
        ((6, 8), [Segment(5, 6, 5, None), Segment(6, 8, None, None), Segment(8, 9, None, 9)]),
    ],
)
def test_cuts_end_what_is_carried(cuts: tuple[int, ...], segments: list[Segment]) -> None:
    labels = labels_on(f5=FrameLabels(mask=mask()), f9=FrameLabels(mask=mask()))
    (group,) = plan(labels, num_frames=20, cuts=cuts)
    assert list(group.segments) == [Segment(0, 5, None, 5), *segments, Segment(9, 20, 9, None)]


def test_frames_between_a_cut_and_the_end_have_no_label() -> None:
    (group,) = plan(labels_on(f5=FrameLabels(mask=mask())), num_frames=20, cuts=(2, 12, 15))
    assert group.segments == (
        Segment(0, 2, None, None),
        Segment(2, 5, None, 5),
        Segment(5, 12, 5, None),
        Segment(12, 20, None, None),
    )


def test_objects_labeled_on_other_frames_are_another_group() -> None:
    labels = labels_on(f0=FrameLabels(mask=mask(), boxes={2: EDGES}), f8=FrameLabels(boxes={2: EDGES}))
    groups = {group.objects[0].id: group for group in plan(labels, num_frames=20)}
    assert groups[1].segments == (Segment(0, 20, 0, None),)
    assert groups[2].segments == (Segment(0, 8, 0, 8), Segment(8, 20, 8, None))
    assert groups[1].frames[0].boxes == {}


def test_an_object_that_is_named_as_lost_has_ended() -> None:
    labels = labels_on(f0=FrameLabels(boxes={2: EDGES}), f8=FrameLabels(lost=frozenset({2})))
    (group,) = plan(labels, num_frames=20)
    assert group.present(0) == {2}
    assert group.present(8) == frozenset()


def test_a_segment_changes_with_its_own_labels_only() -> None:
    before = labels_on(f0=FrameLabels(mask=mask()), f8=FrameLabels(mask=mask()), f12=FrameLabels(mask=mask()))
    changed = mask()
    changed[0, 0] = 0
    after = labels_on(f0=FrameLabels(mask=mask()), f8=FrameLabels(mask=mask()), f12=FrameLabels(mask=changed))
    (old,), (new,) = plan(before, num_frames=20), plan(after, num_frames=20)
    same = [old.digest(segment) == new.digest(segment) for segment in old.segments]
    assert same == [True, False, False]


def test_void_alone_is_no_object() -> None:
    both = VideoLabels((4, 4), 20, (LabelObject(255, "void", "mask"),), {0: FrameLabels(mask=mask(255))})
    with pytest.raises(LabelError, match="no object"):
        plan(both, num_frames=20, void=255)
