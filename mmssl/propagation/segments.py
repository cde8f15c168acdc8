"""Which part of a video takes its labels from which labeled frames.

Objects that are labeled on the same frames are carried together, as a group. The labeled frames of a group cut the video
into segments: between two of them labels come from both, before the first and after the last from one. A scene cut ends what
is carried. A segment depends on nothing but its video, the settings and the labels at its ends, so that a correction leaves
all others as they are.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmssl.config import digest
from mmssl.errors import LabelError
from mmssl.propagation.video_labels import FrameLabels, LabelObject, VideoLabels


@dataclass(frozen=True)
class Segment:
    """Consecutive frames whose labels come from the same labeled frames.

    Args:
        start: First frame.
        stop: Frame to end before.
        before: Labeled frame from which labels are carried forwards; it is `start`.
        after: Labeled frame from which labels are carried backwards; it is `stop`.
    """

    start: int
    stop: int
    before: int | None
    after: int | None


@dataclass(frozen=True)
class Group:
    """Objects that are labeled on the same frames, and the segments that these frames make.

    Args:
        objects: In the order of their ids.
        segments: From the first frame to the last without a gap.
        frames: Labels of these objects alone, by labeled frame.
    """

    objects: tuple[LabelObject, ...]
    segments: tuple[Segment, ...]
    frames: Mapping[int, FrameLabels]

    def present(self, frame: int | None) -> frozenset[int]:
        """Ids of the objects that are seen on a labeled frame; none where there is no such frame."""
        return self.frames[frame].seen() if frame is not None else frozenset()

    def digest(self, segment: Segment) -> str:
        """Says what a segment is made of, but for the video and the settings."""
        objects = [(each.id, each.kind, each.num_points) for each in self.objects]
        ends = [None if end is None else _digest_of_labels(self.frames[end]) for end in (segment.before, segment.after)]
        return digest({"objects": objects, "range": [segment.start, segment.stop], "labels": ends})


def plan(
    labels: VideoLabels, *, num_frames: int, cuts: Sequence[int] = (), void: int | None = None
) -> tuple[Group, ...]:
    """Groups of objects with their segments; objects that are seen nowhere are left out.

    An object that a labeled frame's labels speak of without it being there has ended, or not begun: a mask object that is
    missing in a mask, another one that is named as lost or whose points are all absent.

    Args:
        labels: Of the video.
        num_frames: Frames of the video.
        cuts: First frame of each shot but the first one.
        void: A mask index that stands for nobody's pixels.
    """
    groups: dict[tuple[int, ...], list[LabelObject]] = {}
    seen = frozenset().union(*(frame.seen() for frame in labels.frames.values()))
    for each in sorted(labels.objects, key=lambda one: one.id):
        keys = tuple(sorted(index for index, frame in labels.frames.items() if _speaks_of(frame, each)))
        if each.id in seen and each.id != void:
            groups.setdefault(keys, []).append(each)
    if not groups:
        raise LabelError("no object is labeled; every pixel is background (index 0) or void")
    return tuple(
        Group(
            tuple(objects), _segments(keys, num_frames, cuts), {key: _part(labels.frames[key], objects) for key in keys}
        )
        for keys, objects in groups.items()
    )


def _speaks_of(frame: FrameLabels, each: LabelObject) -> bool:
    if each.kind == "mask":
        return frame.mask is not None
    return each.id in frame.lost or each.id in frame.boxes or each.id in frame.keypoints


def _part(frame: FrameLabels, objects: Sequence[LabelObject]) -> FrameLabels:
    ids = {each.id for each in objects}
    mask = frame.mask
    if not any(each.kind == "mask" for each in objects):
        mask = None
    return FrameLabels(
        mask=mask,
        boxes={key: box for key, box in frame.boxes.items() if key in ids},
        keypoints={key: points for key, points in frame.keypoints.items() if key in ids},
    )


def _segments(keys: Sequence[int], num_frames: int, cuts: Sequence[int]) -> tuple[Segment, ...]:
    found = []
    if keys[0] > 0:
        found += _between(None, keys[0], 0, cuts)
    for near, far in zip(keys, (*keys[1:], None), strict=True):
        found += _between(near, far, near, cuts, num_frames)
    return tuple(found)


def _between(
    before: int | None, after: int | None, start: int, cuts: Sequence[int], num_frames: int | None = None
) -> list[Segment]:
    """The segments from `start` to the frame before `after`, split at cuts."""
    stop = after if after is not None else num_frames
    assert stop is not None
    inside = [cut for cut in cuts if start < cut <= (stop if after is not None else stop - 1)]
    if not inside:
        return [Segment(start, stop, before, after)]
    first, last = (start if before is None else inside[0]), (stop if after is None else inside[-1])
    parts = [Segment(start, first, before, None), Segment(first, last, None, None), Segment(last, stop, None, after)]
    return [part for part in parts if part.start < part.stop]


def _digest_of_labels(frame: FrameLabels) -> str:
    whole = hashlib.sha256()
    if frame.mask is not None:
        whole.update(np.ascontiguousarray(frame.mask, dtype=np.uint16).tobytes())
    for values in (frame.boxes, frame.keypoints):
        for key in sorted(values):
            whole.update(f"{key}:".encode())
            whole.update(np.ascontiguousarray(values[key], dtype=np.float64).tobytes())
    return whole.hexdigest()
