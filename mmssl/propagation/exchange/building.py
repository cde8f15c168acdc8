"""Gathers what a file says, frame by frame, into `VideoLabels`."""

import re
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from mmssl.errors import LabelError
from mmssl.propagation.video_labels import (
    MAX_OBJECT_ID,
    FrameLabels,
    IndexMask,
    LabelObject,
    LabelWarning,
    VideoLabels,
    check_index,
)

MAX_GAP_FRAMES = 1_000_000
"""Longest run of frames that is filled in between two labels of a track; 11 hours at 25 frames a second."""


class LabelBuilder:
    """Takes labels in any order; `build` makes the checked result.

    Args:
        path: File that is read, for messages.
        objects: All objects the file names.
        size: Height and width of the video in pixels.
        num_frames: Frames of the video, None where it is not known.
        pts_seconds: Presentation time of each frame of the video, None where it is not known.
    """

    def __init__(
        self,
        path: Path,
        objects: Iterable[LabelObject],
        *,
        size: tuple[int, int],
        num_frames: int | None,
        pts_seconds: Sequence[float] | None,
    ) -> None:
        self.path = path
        self.objects = tuple(sorted(objects, key=lambda each: each.id))
        self.size = size
        self.num_frames = num_frames
        self.pts_seconds = pts_seconds
        largest = max((each.id for each in self.objects), default=0)
        self._mask_type = np.uint8 if largest <= 255 else np.uint16
        self._masks: dict[int, IndexMask] = {}
        self._boxes: dict[int, dict[int, Float[np.ndarray, " 4"]]] = {}
        self._keypoints: dict[int, dict[int, Float[np.ndarray, "_points 2"]]] = {}
        self._keypoint_confidences: dict[int, dict[int, Float[np.ndarray, " _points"]]] = {}
        self._confidences: dict[int, dict[int, float]] = {}
        self._lost: dict[int, set[int]] = {}
        self._times: dict[int, float] = {}
        self._frames: set[int] = set()
        self._overlap_pixels = 0
        self._overlap_frames: set[int] = set()

    def put_frame(self, frame: int, *, pts_seconds: float | None = None, empty_mask: bool = False) -> None:
        """Notes that a frame is labeled; with `empty_mask`, as having no object of a mask on it."""
        check_index(frame, self.num_frames)
        self._frames.add(frame)
        if pts_seconds is not None:
            self._times[frame] = pts_seconds
        if empty_mask:
            self._mask(frame)

    def put_index_mask(self, frame: int, mask: IndexMask) -> None:
        """Sets a frame's whole index mask."""
        self.put_frame(frame)
        if mask.shape != self.size:
            height, width = mask.shape
            raise LabelError(
                f"frame {frame}: the mask has {width} x {height} pixels, the video {self.size[1]} x {self.size[0]}"
            )
        self._masks[frame] = mask

    def put_mask(
        self, frame: int, object_id: int, where: Bool[np.ndarray, "h w"], *, top: int = 0, left: int = 0
    ) -> None:
        """Gives an object the pixels of a region whose corner is at (top, left); the later of two masks wins a pixel."""
        self.put_frame(frame)
        height, width = where.shape
        region = self._mask(frame)[top : top + height, left : left + width]
        if region.shape != where.shape or min(top, left) < 0:
            raise LabelError(
                f"frame {frame}: the mask of object {object_id} reaches to ({left + width}, {top + height}), outside of the "
                f"video's {self.size[1]} x {self.size[0]} pixels"
            )
        rows, columns = np.flatnonzero(where.any(axis=1)), np.flatnonzero(where.any(axis=0))
        if not len(rows):
            return
        box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        region, where = region[box], where[box]
        taken = where & (region != 0) & (region != object_id)
        if taken.any():
            self._overlap_pixels += int(taken.sum())
            self._overlap_frames.add(frame)
        region[where] = object_id

    def put_box(self, frame: int, object_id: int, left: float, top: float, right: float, bottom: float) -> None:
        """Sets an object's box, edges in pixels."""
        self.put_frame(frame)
        self._once(self._boxes.setdefault(frame, {}), frame, object_id)
        self._boxes[frame][object_id] = np.array([left, top, right, bottom], dtype=np.float64)

    def put_keypoints(
        self,
        frame: int,
        object_id: int,
        points: Float[np.ndarray, "points 2"],
        confidences: Float[np.ndarray, " points"] | None = None,
    ) -> None:
        """Sets an object's points; NaN is an absent point, and where all are absent the object counts as not labeled."""
        self.put_frame(frame)
        self._once(self._keypoints.setdefault(frame, {}), frame, object_id)
        if np.isnan(points).all():
            return
        self._keypoints[frame][object_id] = points.astype(np.float64)
        if confidences is not None:
            values = self._keypoint_confidences.setdefault(frame, {})
            values[object_id] = np.where(np.isnan(points[:, 0]), np.nan, confidences)

    def put_confidence(self, frame: int, object_id: int, confidence: float) -> None:
        """Sets an object's confidence."""
        self.put_frame(frame)
        self._confidences.setdefault(frame, {})[object_id] = float(confidence)

    def put_lost(self, frame: int, object_id: int) -> None:
        """Flags an object as looked for and not seen."""
        self.put_frame(frame)
        self._lost.setdefault(frame, set()).add(object_id)

    def build(self) -> VideoLabels:
        """The labels, frames in order.

        Raises:
            LabelError: If they do not fit the video or contradict each other.
        """
        if self._overlap_pixels:
            warnings.warn(
                f"{self.path}: masks of different objects overlap by {self._overlap_pixels} pixels on "
                f"{len(self._overlap_frames)} frames; the later object in the file has them",
                LabelWarning,
                stacklevel=3,
            )
        frames = {
            frame: FrameLabels(
                mask=self._masks.get(frame),
                boxes=self._boxes.get(frame, {}),
                keypoints=self._keypoints.get(frame, {}),
                keypoint_confidences=self._keypoint_confidences.get(frame, {}),
                confidences=self._confidences.get(frame, {}),
                lost=frozenset(self._lost.get(frame, ())),
                pts_seconds=self._time(frame),
            )
            for frame in sorted(self._frames)
        }
        return VideoLabels(self.size, self.num_frames, self.objects, frames)

    def _time(self, frame: int) -> float | None:
        if self.pts_seconds is None:
            return self._times.get(frame)
        if frame >= len(self.pts_seconds):
            raise LabelError(f"frame {frame} is past the end; the video has {len(self.pts_seconds)} frames")
        return float(self.pts_seconds[frame])

    def _mask(self, frame: int) -> IndexMask:
        if frame not in self._masks:
            self._masks[frame] = np.zeros(self.size, dtype=self._mask_type)
        return self._masks[frame]

    @staticmethod
    def _once(there: dict[int, np.ndarray], frame: int, object_id: int) -> None:
        if object_id in there:
            raise LabelError(f"frame {frame}: object {object_id} is labeled twice")


def ids_by_name(names: Iterable[str]) -> dict[str, int]:
    """Ids for the objects of a format that knows names only: `object 7` is 7, the others take the lowest free ids in order."""
    ordered = list(dict.fromkeys(names))
    ids: dict[str, int] = {}
    for name in ordered:
        match = re.fullmatch(r"object ([1-9]\d{0,4})", name)
        if match and int(match[1]) <= MAX_OBJECT_ID:
            ids[name] = int(match[1])
    taken = set(ids.values())
    free = (number for number in range(1, MAX_OBJECT_ID + 1) if number not in taken)
    for name in ordered:
        if name not in ids:
            try:
                ids[name] = next(free)
            except StopIteration:
                raise LabelError(f"more than {MAX_OBJECT_ID} objects") from None
    return ids


def frame_of_name(name: str) -> int:
    """Frame index in the name of an image file: its last run of digits, as in `img0012.png` or `video/00012.jpg`.

    Raises:
        LabelError: If there are no digits.
    """
    stem = name.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
    digits = re.findall(r"\d+", stem)
    if not digits:
        raise LabelError(f"the image name {name!r} holds no frame number; expected one such as 00012.png")
    return int(digits[-1][-18:])


def turned_box(
    box: tuple[float, float, float, float], *, degrees: float, pivot: tuple[float, float]
) -> tuple[float, float, float, float]:
    """The upright box around a box that is turned clockwise, as seen, about a point; left, top, right, bottom."""
    if not degrees:
        return box
    left, top, right, bottom = box
    angle = np.deg2rad(degrees)
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]]) - pivot
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    turned = corners @ turn + pivot
    (x0, y0), (x1, y1) = turned.min(axis=0).tolist(), turned.max(axis=0).tolist()
    return x0, y0, x1, y1
