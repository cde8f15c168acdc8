"""Labels on the frames of one video, independent of any file format: masks, boxes, keypoints and points of many objects.

Pixels are areas: the center of the top-left pixel is at (0.5, 0.5), x goes right and y goes down, so that a picture of
854 x 480 pixels spans 0 to 854 and 0 to 480. Every file format's own convention is converted to this one when it is read.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8, UInt16

from mmssl.errors import LabelError, MmsslWarning

Kind = Literal["mask", "box", "keypoints", "point"]
KINDS: tuple[Kind, ...] = ("mask", "box", "keypoints", "point")
MAX_OBJECT_ID = 65535
POINT_NAME = "point"
"""What a free point is called in formats whose points all have a name; an object with this one keypoint reads as a point."""

IndexMask = UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]


class LabelWarning(MmsslWarning):
    """Something in labels is left out because the format or the data model cannot hold it."""


@dataclass(frozen=True)
class LabelObject:
    """One thing that is labeled through a video.

    Args:
        id: 1 to 65535; its value in index masks.
        name: What a person calls it.
        kind: How it is labeled; an object has one kind.
        keypoint_names: Names of its points in order, for `keypoints` only.
        skeleton: Edges as pairs of positions in `keypoint_names`.
        color: RGB, 0 to 255, or None where nobody chose one.

    Raises:
        LabelError: If a value is out of range or a name repeats.
    """

    id: int
    name: str
    kind: Kind
    keypoint_names: tuple[str, ...] = ()
    skeleton: tuple[tuple[int, int], ...] = ()
    color: tuple[int, int, int] | None = None

    def __post_init__(self) -> None:
        who = f"object {self.id} ({self.name})"
        if not 1 <= self.id <= MAX_OBJECT_ID:
            raise LabelError(f"{who}: the id must be 1 to {MAX_OBJECT_ID}; 0 is the background")
        if not self.name:
            raise LabelError(f"object {self.id} has no name")
        if self.kind not in KINDS:
            raise LabelError(f"{who}: {self.kind!r} is no kind of label; kinds are {list(KINDS)}")
        if (self.kind == "keypoints") != bool(self.keypoint_names):
            raise LabelError(
                f"{who}: keypoint names belong to objects of the kind 'keypoints', this is a {self.kind!r}"
            )
        repeated = sorted({name for name in self.keypoint_names if self.keypoint_names.count(name) > 1})
        if repeated:
            raise LabelError(f"{who}: the keypoint name {repeated[0]!r} stands twice")
        wrong = [edge for edge in self.skeleton if not all(0 <= end < len(self.keypoint_names) for end in edge)]
        if wrong:
            raise LabelError(
                f"{who}: skeleton edge {wrong[0]} does not join two of {len(self.keypoint_names)} keypoints"
            )
        if self.color is not None and not all(0 <= value <= 255 for value in self.color):
            raise LabelError(f"{who}: color {self.color} is not RGB of 0 to 255")

    @property
    def num_points(self) -> int:
        """Points it has on a frame: none for masks and boxes."""
        return 1 if self.kind == "point" else len(self.keypoint_names)

    @property
    def point_names(self) -> tuple[str, ...]:
        """Its keypoints' names, or the one conventional name of a free point."""
        return (POINT_NAME,) if self.kind == "point" else self.keypoint_names


def object_with_points(
    object_id: int,
    name: str,
    point_names: tuple[str, ...],
    *,
    skeleton: tuple[tuple[int, int], ...] = (),
    color: tuple[int, int, int] | None = None,
) -> LabelObject:
    """An object of keypoints, or a free point where `POINT_NAME` is the only one."""
    if point_names == (POINT_NAME,):
        return LabelObject(object_id, name, "point", color=color)
    return LabelObject(object_id, name, "keypoints", point_names, skeleton, color)


def ids_in(mask: IndexMask) -> list[int]:
    """Object ids that an index mask holds, in order."""
    ids: list[int] = (np.flatnonzero(np.bincount(mask.reshape(-1), minlength=1)[1:]) + 1).tolist()
    return ids


@dataclass(frozen=True, eq=False)
class FrameLabels:
    """What is known of the objects on one frame; an object that is not named is not labeled here.

    Args:
        mask: Object id of each pixel, 0 = background; None where masks are not labeled on this frame.
        boxes: Left, top, right and bottom edge in pixels, by object id.
        keypoints: x and y in pixels of each point, by object id, both NaN where the point is absent; also free points,
            which have one row.
        keypoint_confidences: 0 to 1 a point, by object id; NaN where the point is absent or its confidence is not known.
        confidences: 0 to 1, by object id.
        lost: Ids of objects that were looked for on this frame and are not seen.
        pts_seconds: Exact presentation time, where it is known.
    """

    mask: IndexMask | None = None
    boxes: Mapping[int, Float[np.ndarray, " 4"]] = field(default_factory=dict)
    keypoints: Mapping[int, Float[np.ndarray, "_points 2"]] = field(default_factory=dict)
    keypoint_confidences: Mapping[int, Float[np.ndarray, " _points"]] = field(default_factory=dict)
    confidences: Mapping[int, float] = field(default_factory=dict)
    lost: frozenset[int] = frozenset()
    pts_seconds: float | None = None

    def seen(self) -> frozenset[int]:
        """Ids of the objects that are seen on the frame."""
        points = {key for key, points in self.keypoints.items() if np.isfinite(points).any()}
        return frozenset(points | set(self.boxes) | ({*ids_in(self.mask)} if self.mask is not None else set()))

    @property
    def holds_labels(self) -> bool:
        """Whether any object is seen on the frame."""
        seen = any(bool(np.isfinite(points).any()) for points in self.keypoints.values())
        return seen or bool(self.boxes) or (self.mask is not None and bool(self.mask.any()))


@dataclass(frozen=True, eq=False)
class VideoLabels:
    """Labels of one video; checks itself when made.

    Args:
        size: Height and width of the video in pixels.
        num_frames: Frames of the video, None where it is not known.
        objects: In the order of their ids, by convention.
        frames: Labels by frame index, 0 = first presented frame; frames that are not labeled are left out.

    Raises:
        LabelError: If a mask has another size than the video, an object is unknown or of another kind, a coordinate is not
            finite, a frame lies past the end, or there is no label at all.
    """

    size: tuple[int, int]
    num_frames: int | None
    objects: tuple[LabelObject, ...]
    frames: Mapping[int, FrameLabels]

    def __post_init__(self) -> None:
        if min(self.size) < 1:
            raise LabelError(f"a video of {self.size[1]} x {self.size[0]} pixels cannot be labeled")
        by_id = {each.id: each for each in self.objects}
        if len(by_id) < len(self.objects):
            ids = [each.id for each in self.objects]
            repeated = next(each for each in ids if ids.count(each) > 1)
            raise LabelError(f"two objects have the id {repeated}")
        for index, frame in self.frames.items():
            check_index(index, self.num_frames)
            fault = _frame_fault(frame, self.size, by_id)
            if fault is not None:
                raise LabelError(f"frame {index}: {fault}")
        if not any(frame.holds_labels for frame in self.frames.values()):
            raise LabelError("the labels are empty: no frame has a mask, box or point of any object")

    def object(self, object_id: int) -> LabelObject:
        """The object with an id.

        Raises:
            LabelError: If there is none.
        """
        for each in self.objects:
            if each.id == object_id:
                return each
        raise LabelError(f"no object has the id {object_id}; ids are {[each.id for each in self.objects]}")

    def kinds(self) -> frozenset[Kind]:
        """Kinds of its objects."""
        return frozenset(each.kind for each in self.objects)

    def of_kinds(self, kinds: Collection[Kind]) -> "VideoLabels":
        """Only the objects of some kinds, for a format that does not hold the others.

        Raises:
            LabelError: If nothing is left.
        """
        objects = tuple(each for each in self.objects if each.kind in kinds)
        kept = {each.id for each in objects}
        frames = {
            index: replace(
                frame,
                mask=frame.mask if "mask" in kinds else None,
                boxes={key: box for key, box in frame.boxes.items() if key in kept},
                keypoints={key: points for key, points in frame.keypoints.items() if key in kept},
                keypoint_confidences={key: each for key, each in frame.keypoint_confidences.items() if key in kept},
                confidences={key: each for key, each in frame.confidences.items() if key in kept},
                lost=frame.lost & kept,
            )
            for index, frame in self.frames.items()
        }
        return VideoLabels(self.size, self.num_frames, objects, frames)


def check_index(index: int, num_frames: int | None) -> None:
    """Refuses a frame that a video does not have.

    Raises:
        LabelError: If it is negative or past the end.
    """
    if index < 0:
        raise LabelError(f"frame {index}: frames count from 0")
    if num_frames is not None and index >= num_frames:
        raise LabelError(
            f"frame {index} is past the end; the video has {num_frames} frames, numbered 0 to {num_frames - 1}"
        )


def _frame_fault(frame: FrameLabels, size: tuple[int, int], objects: Mapping[int, LabelObject]) -> str | None:
    try:
        _check_frame(frame, size, objects)
    except LabelError as error:
        return str(error)
    return None


def _check_frame(frame: FrameLabels, size: tuple[int, int], objects: Mapping[int, LabelObject]) -> None:
    if frame.mask is not None:
        _check_mask(frame.mask, size, objects)
    for key, box in frame.boxes.items():
        who = _named(key, objects, ("box",), "a box")
        if not np.isfinite(box).all():
            raise LabelError(f"the box of {who} has a coordinate that is not a finite number: {box.tolist()}")
        if not (box[0] < box[2] and box[1] < box[3]):
            raise LabelError(f"the box of {who} has no area: left, top, right, bottom are {box.tolist()}")
    for key, points in frame.keypoints.items():
        who = _named(key, objects, ("keypoints", "point"), "points")
        if len(points) != objects[key].num_points:
            raise LabelError(f"{who} has {objects[key].num_points} points, but {len(points)} are given")
        absent = np.isnan(points)
        if np.isinf(points).any() or (absent[:, 0] != absent[:, 1]).any():
            raise LabelError(f"a point of {who} is not two finite numbers; an absent point is NaN in x and y")
    for key, values in frame.keypoint_confidences.items():
        who = _named(key, objects, ("keypoints", "point"), "point confidences")
        if key not in frame.keypoints or len(values) != len(frame.keypoints[key]):
            raise LabelError(f"{who} needs one confidence a point")
        if np.isinf(values).any():
            raise LabelError(f"a point confidence of {who} is not finite")
    for key, value in frame.confidences.items():
        if not np.isfinite(value):
            raise LabelError(f"the confidence of {_named(key, objects, KINDS, 'a confidence')} is {value}")
    for key in frame.lost:
        _named(key, objects, KINDS, "a lost flag")


def _check_mask(mask: IndexMask, size: tuple[int, int], objects: Mapping[int, LabelObject]) -> None:
    if mask.shape != size:
        height, width = mask.shape
        raise LabelError(f"the mask has {width} x {height} pixels, the video {size[1]} x {size[0]}")
    for key in ids_in(mask):
        _named(key, objects, ("mask",), "a mask")


def _named(key: int, objects: Mapping[int, LabelObject], kinds: Collection[str], thing: str) -> str:
    """The object's name for a message; refuses an id that no object has, or whose object is of another kind."""
    if key not in objects:
        raise LabelError(f"{thing} belongs to object {key}, which is not among the objects {sorted(objects)}")
    found = objects[key]
    if found.kind not in kinds:
        raise LabelError(f"{thing} is given for object {key} ({found.name}), which is labeled as {found.kind!r}")
    return f"object {key} ({found.name})"
