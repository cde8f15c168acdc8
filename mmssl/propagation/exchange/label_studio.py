"""Label Studio JSON: rectangles through a video, or images with rectangles, brush masks, polygons and keypoints.

Label Studio tracks rectangles in videos and nothing else; brush, polygon and keypoint labels are of images. So boxes alone are
written as one video task; anything else as one image task a frame. Other region types are refused by name.

Coordinates are percent of the picture, measured from its corner; frames of a video count from 1. A rectangle moves in a
straight line between keyframes, an `enabled: false` keyframe is the last one shown, and after the last enabled one it stays.
With `keyframes_only` only the keyframes are read. The frame of an image task is `frame` in its data or the last number in the
image's name.

Object of a region: its id where that is `object-N`, as written here; else a rectangle through a video is one object, and on
images regions of one label are one object, if no image has two of them or they are all on one image. A keypoint's label is the
keypoint's name; its object is its parent region, else what its note says, else all keypoints are one object. Of several
annotations of a task none is chosen: keep one. Predictions are read where there are no annotations.

Holds everything for image tasks, in the task's `data` where regions have no place for it. Video tasks do not hold frames
without any object and confidences of objects that are not seen (announced).
"""

import warnings
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np

from mmssl.errors import LabelError
from mmssl.propagation.exchange import brush
from mmssl.propagation.exchange.building import MAX_GAP_FRAMES, LabelBuilder, frame_of_name, turned_box
from mmssl.propagation.exchange.files import naming, read_json, write_json
from mmssl.propagation.exchange.label_studio_objects import Region, objects_of
from mmssl.propagation.exchange.label_studio_schema import Position, Result, Task, Value, checked
from mmssl.propagation.exchange.label_studio_writing import image_tasks, video_task
from mmssl.propagation.exchange.losses import ALL_FACTS, announce_losses
from mmssl.propagation.exchange.rle import fill_polygon
from mmssl.propagation.video_labels import LabelObject, LabelWarning, VideoLabels

FORM = "a Label Studio video task"
UNHELD_IN_VIDEO = {"frames without any object", "confidences of unseen objects"}
Box = tuple[float, float, float, float]


def read(
    path: Path,
    *,
    size: tuple[int, int],
    num_frames: int | None = None,
    pts_seconds: Sequence[float] | None = None,
    keyframes_only: bool = False,
    first_number: int = 0,
) -> VideoLabels:
    """Reads a JSON export of one video, or of its frames as images.

    Args:
        path: The file.
        size: Height and width of the video in pixels.
        num_frames: Frames of the video.
        pts_seconds: Presentation time of each frame of the video.
        keyframes_only: Read only the frames that a person labeled, not what lies between.
        first_number: Number of frame 0 in image names.

    Raises:
        LabelError: If the file is no such export, or does not fit the video.
    """
    value = read_json(path)
    with naming(path):
        tasks = checked(value)
        frames = [_frame_of(task, first_number) for task in tasks]
        regions = [
            Region(result, frame)
            for task, frame in zip(tasks, frames, strict=True)
            for annotation in task.get("annotations", [])
            for result in annotation["result"]
        ]
        given = [each for task in tasks for each in task["data"].get("objects", [])]
        objects, owners = objects_of(regions, given)
        builder = LabelBuilder(path, objects.values(), size=size, num_frames=num_frames, pts_seconds=pts_seconds)
        for task, frame in zip(tasks, frames, strict=True):
            _put_facts(builder, task, frame)
        joints: dict[tuple[int, int], list[Result]] = {}
        for region, owner in zip(regions, owners, strict=True):
            result = region.result
            _check_size(result, size)
            if owner is None:
                continue
            if result["type"] == "keypointlabels":
                joints.setdefault((_on(region), owner), []).append(result)
            elif result["type"] == "videorectangle":
                _put_rectangles(builder, objects[owner], result, keyframes_only=keyframes_only)
            else:
                _put_region(builder, objects[owner], _on(region), result)
        for (frame, owner), results in joints.items():
            _put_joints(builder, objects[owner], frame, results)
        return builder.build()


def _frame_of(task: Task, first_number: int) -> int | None:
    """Frame of an image task; None for a video."""
    data = task["data"]
    if "frame" in data:
        return data["frame"]
    if "image" not in data:
        return None
    image = data["image"]
    name = image.split("?d=")[-1] if "?d=" in image else image.split("?")[0]
    return frame_of_name(name) - first_number


def _on(region: Region) -> int:
    if region.frame is None:
        raise LabelError(f"a region of type {region.result['type']!r} belongs to an image, and this task shows none")
    return region.frame


def _check_size(result: Result, size: tuple[int, int]) -> None:
    width, height = result.get("original_width") or size[1], result.get("original_height") or size[0]
    if (height, width) != size:
        raise LabelError(f"a region was drawn on {width} x {height} pixels, the video has {size[1]} x {size[0]}")


def _put_facts(builder: LabelBuilder, task: Task, frame: int | None) -> None:
    data = task["data"]
    for index, ids in data.get("lost", {}).items():
        for object_id in ids:
            builder.put_lost(index, object_id)
    if frame is not None and task.get("annotations"):
        time, empty = data.get("pts_seconds"), data.get("mask_labeled", False)
        builder.put_frame(frame, pts_seconds=time, empty_mask=empty)
        for object_id, confidence in data.get("confidences", {}).items():
            builder.put_confidence(frame, object_id, confidence)


def _pixels(value: Position | Value, size: tuple[int, int]) -> Box:
    """A box in pixels; percent of the picture, turned about its top left corner."""
    fields = cast(dict[str, Any], value)
    missing = [name for name in ("x", "y", "width", "height") if name not in fields]
    if missing:
        raise LabelError(f"a rectangle has no {missing[0]}")
    left, top = fields["x"] / 100 * size[1], fields["y"] / 100 * size[0]
    box = (left, top, left + fields["width"] / 100 * size[1], top + fields["height"] / 100 * size[0])
    return turned_box(box, degrees=fields.get("rotation") or 0.0, pivot=(left, top))


def _put_rectangles(builder: LabelBuilder, of: LabelObject, result: Result, *, keyframes_only: bool) -> None:
    value = result["value"]
    sequence = sorted(value.get("sequence", []), key=lambda each: each["frame"])
    if not sequence:
        raise LabelError(f"object {of.id} ({of.name}) has no keyframes")
    if sequence[0]["frame"] < 1:
        raise LabelError(f"object {of.id} ({of.name}) is on frame {sequence[0]['frame']}; Label Studio counts from 1")
    counted, end = value.get("framesCount"), builder.num_frames
    if counted and end is not None and counted != end:
        warnings.warn(
            f"{builder.path}: Label Studio counted {counted} frames, the video has {end}; "
            "where the project's frame rate is not the video's, labels are on other frames than they were drawn on",
            LabelWarning,
            stacklevel=4,
        )
    for position in sequence:
        frame = position["frame"] - 1
        builder.put_box(frame, of.id, *_pixels(position, builder.size))
        if position.get("time") is not None:
            builder.put_frame(frame, pts_seconds=position.get("time"))
        score = position.get("score")
        if score is not None:
            builder.put_confidence(frame, of.id, score)
    if keyframes_only:
        return
    for now, following in pairwise(sequence):
        if _enabled(now):
            _fill(builder, of, now, following)
    last = sequence[-1]
    final = end or counted
    if _enabled(last) and final and final > last["frame"]:
        _fill(builder, of, last, cast(Position, {**last, "frame": final + 1}))


def _enabled(position: Position) -> bool:
    return position.get("enabled") is not False


def _fill(builder: LabelBuilder, of: LabelObject, now: Position, following: Position) -> None:
    gap = following["frame"] - now["frame"]
    if gap > MAX_GAP_FRAMES:
        raise LabelError(f"object {of.id} ({of.name}) has {gap} frames between two keyframes")
    first, second = np.array(_pixels(now, builder.size)), np.array(_pixels(following, builder.size))
    for step in range(1, gap):
        box = (first + (second - first) * (step / gap)).tolist()
        builder.put_box(now["frame"] - 1 + step, of.id, *box)


def _put_region(builder: LabelBuilder, of: LabelObject, frame: int, result: Result) -> None:
    value = result["value"]
    who = f"frame {frame}: object {of.id} ({of.name})"
    if result["type"] == "rectanglelabels":
        builder.put_box(frame, of.id, *_pixels(value, builder.size))
    elif result["type"] == "polygonlabels":
        corners = np.array(value.get("points", []), dtype=np.float64).reshape(-1, 2)
        if len(corners) < 3 or not np.isfinite(corners).all():
            raise LabelError(f"{who}: a polygon has {len(corners)} corners, or one that is not a number")
        scale = np.array([builder.size[1], builder.size[0]]) / 100
        builder.put_mask(frame, of.id, fill_polygon(corners * scale, builder.size))
    else:
        if value.get("format") != "rle" or "rle" not in value:
            raise LabelError(f"{who}: a brush mask of format {value.get('format')!r}; expected 'rle'")
        try:
            where = brush.unpack(value["rle"], builder.size)
        except LabelError as error:
            raise LabelError(f"{who}: {error}") from error
        builder.put_mask(frame, of.id, where)
    score = result.get("score")
    if score is not None:
        builder.put_confidence(frame, of.id, score)


def _put_joints(builder: LabelBuilder, of: LabelObject, frame: int, results: list[Result]) -> None:
    points = np.full((of.num_points, 2), np.nan)
    scores = np.full(of.num_points, np.nan)
    scale = np.array([builder.size[1], builder.size[0]]) / 100
    for result in results:
        value = result["value"]
        name = (value.get("keypointlabels") or [""])[0]
        if name not in of.point_names:
            raise LabelError(f"frame {frame}: object {of.id} ({of.name}) has no keypoint {name!r}")
        row = of.point_names.index(name)
        if not np.isnan(points[row, 0]):
            raise LabelError(f"frame {frame}: object {of.id} ({of.name}) has the keypoint {name!r} twice")
        if "x" not in value or "y" not in value:
            raise LabelError(f"frame {frame}: the keypoint {name!r} has no x and y")
        points[row] = np.array([value["x"], value["y"]]) * scale
        score = result.get("score")
        scores[row] = np.nan if score is None else score
    builder.put_keypoints(frame, of.id, points, None if np.isnan(scores).all() else scores)


def write(
    path: Path,
    labels: VideoLabels,
    *,
    video: str = "video.mp4",
    file_name: str = "{:05d}.jpg",
    first_number: int = 0,
) -> None:
    """Writes tasks with one annotation each: one task of the video for boxes alone, else one a frame.

    Args:
        path: The file.
        labels: Anything.
        video: How the project finds the video, for a video task.
        file_name: How the project finds the frames' images, with a place for the frame's number.
        first_number: Number of frame 0 in image names.
    """
    if labels.kinds() == {"box"}:
        announce_losses(path, labels, FORM, held=ALL_FACTS - UNHELD_IN_VIDEO)
        tasks = [video_task(labels, video)]
    else:
        tasks = image_tasks(labels, file_name, first_number)
    write_json(path, tasks)
