"""CVAT for video 1.1: the XML, or the zip around it, that the annotation tool CVAT exports and imports.

Coordinates are measured from the picture's corner, as here. Boxes, polygons and masks become boxes and masks; a skeleton's
joints and the points of a shape become keypoints; a single point is a free point. A joint that is outside is absent.

CVAT does not track masks: it exports each as a track of one frame, and takes only a track's first mask when it imports. So a mask
of each frame is written as its own track; `group_id` says whose it is. Masks without a group are told apart by label.

Frames between two shapes of a track are filled in as CVAT does (see `filled`); with `keyframes_only` only what a person set is
read, which is what propagation starts from. Nothing is filled in after a track's last shape.

Confidences and lost flags are mutable attributes `confidence`, `keypoint_confidences` and `lost`; a task that is to keep them
needs text attributes of these names. Does not hold: lost flags of masks, frames without any object, objects without labels,
confidences of unseen objects, colors that differ between objects of one name (announced). What is occluded counts as present;
z-order and source are not read.
"""

import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Bool, Float

from mmssl.errors import LabelError
from mmssl.propagation.exchange.building import LabelBuilder, turned_box
from mmssl.propagation.exchange.cvat_tracks import (
    CvatLabel,
    Shape,
    Track,
    filled,
    labels_of,
    original_size,
    parse,
    tracks_of,
)
from mmssl.propagation.exchange.cvat_writing import tree
from mmssl.propagation.exchange.files import naming, write_whole
from mmssl.propagation.exchange.losses import announce_losses
from mmssl.propagation.exchange.rle import fill_polygon, from_counts
from mmssl.propagation.video_labels import (
    MAX_OBJECT_ID,
    LabelObject,
    LabelWarning,
    VideoLabels,
    object_with_points,
)

FORM = "CVAT for video"


def read(
    path: Path,
    *,
    size: tuple[int, int],
    num_frames: int | None = None,
    pts_seconds: Sequence[float] | None = None,
    keyframes_only: bool = False,
) -> VideoLabels:
    """Reads an XML file, or a zip that holds it as `annotations.xml`.

    Args:
        path: The file.
        size: Height and width of the video in pixels.
        num_frames: Frames of the video.
        pts_seconds: Presentation time of each frame of the video.
        keyframes_only: Leave out what the tool filled in between the frames that a person labeled.

    Raises:
        LabelError: If the file is not CVAT for video, or does not fit the video.
    """
    root = parse(path)
    with naming(path):
        labeled_size = original_size(root)
        if labeled_size is not None and labeled_size != size:
            raise LabelError(
                f"labels a video of {labeled_size[1]} x {labeled_size[0]} pixels, this one has {size[1]} x {size[0]}"
            )
        labels = labels_of(root)
        grouped = _objects_of(tracks_of(root))
        objects = {key: _object(key, tracks, labels) for key, tracks in grouped.items()}
        builder = LabelBuilder(path, objects.values(), size=size, num_frames=num_frames, pts_seconds=pts_seconds)
        if any(shape.rotation for tracks in grouped.values() for track in tracks for shape in track.shapes):
            warnings.warn(
                f"{path}: rotated boxes are read as the upright boxes around them", LabelWarning, stacklevel=2
            )
        for key, tracks in grouped.items():
            for track in tracks:
                for shape in filled(track, keyframes_only=keyframes_only):
                    _put(builder, objects[key], shape)
        return builder.build()


def _objects_of(tracks: list[Track]) -> dict[int, list[Track]]:
    """Tracks by the id of the object they are of."""
    groups: dict[tuple[str, str, int], list[Track]] = defaultdict(list)
    loose: dict[str, list[Track]] = defaultdict(list)
    for position, track in enumerate(tracks):
        single = sum(not shape.outside for shape in track.shapes) == 1 and track.shapes[0].kind in ("mask", "polygon")
        if single and track.group:
            groups["group", track.label, track.group].append(track)
        elif single:
            loose[track.label].append(track)
        else:
            groups["track", track.label, position].append(track)
    for label, alone in loose.items():
        frames = [next(shape.frame for shape in track.shapes if not shape.outside) for track in alone]
        if len(set(frames)) == len(frames):
            groups["label", label, 0] = alone
        elif len(set(frames)) == 1:
            groups |= {("single", label, position): [track] for position, track in enumerate(alone)}
        else:
            raise LabelError(
                f"several masks of {label!r} on a frame, and nothing says which is which on the other frames; "
                "give the masks of one object the same group in CVAT"
            )
    ids = [members[0].group or members[0].number + 1 for members in groups.values()]
    if len(set(ids)) < len(ids) or not all(1 <= each <= MAX_OBJECT_ID for each in ids):
        ids = list(range(1, len(ids) + 1))
    return dict(zip(ids, groups.values(), strict=True))


def _object(object_id: int, tracks: list[Track], labels: Mapping[str, CvatLabel]) -> LabelObject:
    name = tracks[0].label
    label = labels.get(name, CvatLabel())
    shapes = [shape for track in tracks for shape in track.shapes]
    kinds = {"mask" if shape.kind == "polygon" else shape.kind for shape in shapes}
    if len(kinds) > 1:
        raise LabelError(f"object {object_id} ({name}) mixes {' and '.join(sorted(kinds))}")
    kind = kinds.pop()
    if kind == "mask":
        return LabelObject(object_id, name, "mask", color=label.color)
    if kind == "box":
        return LabelObject(object_id, name, "box", color=label.color)
    if kind == "skeleton":
        seen = dict.fromkeys([*label.joints, *(joint for shape in shapes for joint in shape.joints)])
        return object_with_points(object_id, name, tuple(seen), skeleton=label.edges, color=label.color)
    counts = {len(shape.points) for shape in shapes}
    if len(counts) > 1:
        raise LabelError(f"object {object_id} ({name}) has {sorted(counts)} points on different frames; use a skeleton")
    count = counts.pop()
    if count == 1:
        return LabelObject(object_id, name, "point", color=label.color)
    return LabelObject(
        object_id, name, "keypoints", tuple(str(number) for number in range(1, count + 1)), color=label.color
    )


def _put(builder: LabelBuilder, of: LabelObject, shape: Shape) -> None:
    if shape.outside:
        if shape.attributes.get("lost") == "true":
            builder.put_lost(shape.frame, of.id)
        return
    who = f"frame {shape.frame}: object {of.id} ({of.name})"
    if shape.kind == "box":
        (left, top), (right, bottom) = shape.points.tolist()
        center = ((left + right) / 2, (top + bottom) / 2)
        box = turned_box((left, top, right, bottom), degrees=shape.rotation, pivot=center)
        builder.put_box(shape.frame, of.id, *box)
    elif shape.kind == "mask":
        left, top, _, _ = shape.rectangle
        builder.put_mask(shape.frame, of.id, _mask(shape, who), top=top, left=left)
    elif shape.kind == "polygon":
        if len(shape.points) < 3:
            raise LabelError(f"{who}: a polygon has {len(shape.points)} corners")
        builder.put_mask(shape.frame, of.id, fill_polygon(shape.points, builder.size))
    else:
        points = _joints(shape, of) if shape.kind == "skeleton" else shape.points
        given = shape.attributes.get("keypoint_confidences")
        values = None if given is None else np.array([float(each or "nan") for each in given.split(",")])
        if values is not None and len(values) != len(points):
            raise LabelError(f"{who}: {len(values)} keypoint_confidences for {len(points)} points")
        builder.put_keypoints(shape.frame, of.id, points, values)
    if shape.attributes.get("confidence"):
        builder.put_confidence(shape.frame, of.id, float(shape.attributes["confidence"]))


def _mask(shape: Shape, who: str) -> Bool[np.ndarray, "height width"]:
    _, _, width, height = shape.rectangle
    runs = np.array(shape.runs.split(","), dtype=np.int64)
    if width < 1 or height < 1:
        raise LabelError(f"{who}: the mask's rectangle has {width} x {height} pixels")
    return from_counts(runs, width * height).reshape(height, width)


def _joints(shape: Shape, of: LabelObject) -> Float[np.ndarray, "points 2"]:
    there = dict(zip(shape.joints, shape.points, strict=True))
    absent = np.full(2, np.nan)
    return np.stack([there.get(name, absent) for name in of.point_names])


def write(path: Path, labels: VideoLabels, *, task_name: str = "labels") -> None:
    """Writes the XML, every labeled frame as a keyframe.

    Args:
        path: The file.
        labels: Anything.
        task_name: Name of the task in the file's head.
    """
    masks = {each.id for each in labels.objects if each.kind == "mask"}
    held = {"names", "ids", "skeleton edges", "object confidences", "keypoint confidences"}
    if not any(frame.lost & masks for frame in labels.frames.values()):
        held.add("lost flags")
    colors = defaultdict(set)
    for each in labels.objects:
        colors[each.name].add(each.color)
    if all(len(of_name) == 1 for of_name in colors.values()):
        held.add("colors")
    announce_losses(path, labels, FORM, held=held)
    root = tree(labels, task_name)
    ElementTree.indent(root)
    write_whole(path, ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))
