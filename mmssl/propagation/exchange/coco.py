"""COCO JSON: masks (run lengths or polygons, by pycocotools), boxes and keypoints, of objects tracked through the images.

Frame of an image: `frame_index` or `frame_id` where the image has one, else the last number in its `file_name`.
Object of an annotation: its `track_id` (or `instance_id`, or `track_id` among its `attributes`). Without those, the categories
are the objects, if no image has two annotations of a category; or, if all annotations are on one image, each is an object.

Conventions: boxes and polygons are measured from the picture's corner, as here; keypoints count pixels, so that 0 is the
center of the first (0.5 is added). Visibility 0 is an absent point, 1 and 2 are present.

Holds everything. Beyond the standard keys it writes `tracks` (id, name, kind, color), `keypoint_scores` in annotations, and
`frame_index`, `pts_seconds`, `lost`, `confidences` and `mask_labeled` in images; other tools skip them.
"""

import warnings
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from mmssl.errors import LabelError
from mmssl.propagation.exchange.building import LabelBuilder, frame_of_name
from mmssl.propagation.exchange.coco_schema import (
    CocoAnnotation,
    CocoCategory,
    CocoImage,
    CocoTrack,
    RunLengths,
    checked,
    pycocotools,
)
from mmssl.propagation.exchange.coco_writing import content_of
from mmssl.propagation.exchange.files import naming, read_json, write_json
from mmssl.propagation.exchange.rle import from_counts, unpack_counts
from mmssl.propagation.video_labels import (
    MAX_OBJECT_ID,
    LabelObject,
    LabelWarning,
    VideoLabels,
    object_with_points,
)


def read(
    path: Path,
    *,
    size: tuple[int, int],
    num_frames: int | None = None,
    pts_seconds: Sequence[float] | None = None,
    first_number: int = 0,
) -> VideoLabels:
    """Reads a COCO file of one video.

    Args:
        path: The JSON file.
        size: Height and width of the video in pixels.
        num_frames: Frames of the video.
        pts_seconds: Presentation time of each frame of the video; without it, the file's own are taken.
        first_number: Number of frame 0 in `frame_id` and in file names.

    Raises:
        LabelError: If the file is not COCO, or does not fit the video.
    """
    value = read_json(path)
    with naming(path):
        content = checked(value)
        categories = {category["id"]: category for category in content["categories"]}
        frames = _frames(content["images"], size, first_number)
        keys = _object_keys(content["annotations"], categories, frames)
        grouped: dict[int, list[CocoAnnotation]] = defaultdict(list)
        for key, annotation in zip(keys, content["annotations"], strict=True):
            grouped[key].append(annotation)
        tracks = {track["id"]: track for track in content.get("tracks", [])}
        grouped |= {
            key: [] for key, track in tracks.items() if key not in grouped and track.get("category_id") in categories
        }
        ids = _ids(grouped)
        objects = {
            key: _object(key, ids[key], found, categories, tracks.get(key, {"id": key}))
            for key, found in grouped.items()
        }
        builder = LabelBuilder(path, objects.values(), size=size, num_frames=num_frames, pts_seconds=pts_seconds)
        for image in content["images"]:
            own = ("mask_labeled", "lost", "confidences", "pts_seconds")
            if any(image.get(key) not in (None, False, [], {}) for key in own):
                frame = frames[image["id"]]
                builder.put_frame(
                    frame, pts_seconds=image.get("pts_seconds"), empty_mask=image.get("mask_labeled", False)
                )
                for object_id, confidence in image.get("confidences", {}).items():
                    builder.put_confidence(frame, ids.get(object_id, object_id), confidence)
                for lost in image.get("lost", []):
                    builder.put_lost(frame, ids.get(lost, lost))
        pairs = list(zip(keys, content["annotations"], strict=True))
        both = sum(objects[key].num_points > 0 and bool(annotation.get("segmentation")) for key, annotation in pairs)
        if both:
            warnings.warn(
                f"{path}: {both} annotations have keypoints and a mask; an object has one kind of label, the masks are left out",
                LabelWarning,
                stacklevel=2,
            )
        for key, annotation in pairs:
            _put(builder, frames[annotation["image_id"]], objects[key], annotation)
        return builder.build()


def _frames(images: list[CocoImage], size: tuple[int, int], first_number: int) -> dict[int | str, int]:
    """Frame index by image id."""
    frames: dict[int | str, int] = {}
    for image in images:
        name = image.get("file_name") or ""
        given = (image.get("height") or size[0], image.get("width") or size[1])
        if given != size:
            raise LabelError(
                f"image {name or image['id']} has {given[1]} x {given[0]} pixels, the video {size[1]} x {size[0]}"
            )
        index, number = image.get("frame_index"), image.get("frame_id")
        if index is None:
            index = (frame_of_name(name) if number is None else number) - first_number
        frames[image["id"]] = index
    if len(set(frames.values())) < len(images):
        raise LabelError("two images have the same id or are the same frame")
    return frames


def _object_keys(
    annotations: list[CocoAnnotation], categories: dict[int, CocoCategory], frames: dict[int | str, int]
) -> list[int]:
    """What tells which annotations are of one object."""
    tracks: list[int | None] = []
    for position, annotation in enumerate(annotations):
        if annotation["image_id"] not in frames:
            raise LabelError(f"annotation {position} is on the unknown image {annotation['image_id']!r}")
        if annotation["category_id"] not in categories:
            raise LabelError(f"annotation {position} is of the unknown category {annotation['category_id']}")
        candidates = (
            annotation.get("track_id"),
            annotation.get("instance_id"),
            (annotation.get("attributes") or {}).get("track_id"),
        )
        tracks.append(next((each for each in candidates if each is not None), None))
    known = [track for track in tracks if track is not None]
    if len(known) == len(annotations):
        return known
    if known:
        raise LabelError(f"annotation {tracks.index(None)} has no track_id, others have")
    keys = [annotation["category_id"] for annotation in annotations]
    if len({(annotation["image_id"], key) for annotation, key in zip(annotations, keys, strict=True)}) == len(keys):
        return keys
    if len({annotation["image_id"] for annotation in annotations}) == 1:
        return list(range(1, len(annotations) + 1))
    raise LabelError(
        "several annotations of one category on an image, and no track_id that says which object is which on the others"
    )


def _ids(keys: Collection[int]) -> dict[int, int]:
    """The keys themselves where they can be ids, else numbers from 1 in their order."""
    if all(1 <= key <= MAX_OBJECT_ID for key in keys):
        return {key: key for key in keys}
    return {key: number for number, key in enumerate(sorted(keys), start=1)}


def _object(
    key: int,
    object_id: int,
    annotations: list[CocoAnnotation],
    categories: dict[int, CocoCategory],
    track: CocoTrack,
) -> LabelObject:
    categories_of = {annotation["category_id"] for annotation in annotations} or {track["category_id"]}
    if len(categories_of) > 1:
        raise LabelError(f"track {key} changes its category: {sorted(categories_of)}")
    category = categories[categories_of.pop()]
    name, color = track.get("name", category["name"]), track.get("color")
    names = tuple(category.get("keypoints") or ())
    if track.get("kind") in ("keypoints", "point") or any(_visible(annotation) for annotation in annotations):
        edges = tuple((first - 1, second - 1) for first, second in category.get("skeleton") or ())
        return object_with_points(object_id, name, names, skeleton=edges, color=color)
    if track.get("kind") == "mask" or any(annotation.get("segmentation") for annotation in annotations):
        return LabelObject(object_id, name, "mask", color=color)
    return LabelObject(object_id, name, "box", color=color)


def _visible(annotation: CocoAnnotation) -> bool:
    return any(value > 0 for value in (annotation.get("keypoints") or [])[2::3])


def _put(builder: LabelBuilder, frame: int, of: LabelObject, annotation: CocoAnnotation) -> None:
    who = f"frame {frame}: object {of.id} ({of.name})"
    segmentation, box, flat = annotation.get("segmentation"), annotation.get("bbox"), annotation.get("keypoints")
    if of.kind in ("keypoints", "point"):
        if flat is None or len(flat) != 3 * of.num_points:
            raise LabelError(f"{who} has {len(flat or [])} keypoint numbers, expected 3 for each of {of.num_points}")
        triples = np.array(flat, dtype=np.float64).reshape(-1, 3)
        points = np.where(triples[:, 2:] > 0, triples[:, :2] + 0.5, np.nan)
        if not np.isfinite(triples).all():
            raise LabelError(f"{who} has a keypoint that is not a finite number")
        scores = annotation.get("keypoint_scores")
        builder.put_keypoints(frame, of.id, points, None if scores is None else np.array(scores, dtype=np.float64))
    elif of.kind == "mask":
        if not segmentation:
            raise LabelError(f"{who} has no segmentation here, though elsewhere it has")
        builder.put_mask(frame, of.id, _mask(segmentation, builder.size, who))
    else:
        if box is None or len(box) != 4:
            raise LabelError(f"{who} has no segmentation, no visible keypoints and no bbox of 4 numbers")
        builder.put_box(frame, of.id, box[0], box[1], box[0] + box[2], box[1] + box[3])
    score = annotation.get("score")
    if score is not None:
        builder.put_confidence(frame, of.id, score)


def _mask(
    segmentation: RunLengths | list[list[float]], size: tuple[int, int], who: str
) -> Bool[np.ndarray, "height width"]:
    height, width = size
    if isinstance(segmentation, list):
        return _polygons([np.array(polygon, dtype=np.float64) for polygon in segmentation], size, who)
    if segmentation["size"] != size:
        given = segmentation["size"]
        raise LabelError(f"{who}: the mask has {given[1]} x {given[0]} pixels, the video {width} x {height}")
    counts = segmentation["counts"]
    runs = unpack_counts(counts.encode()) if isinstance(counts, str) else np.array(counts, dtype=np.int64)
    return from_counts(runs, height * width).reshape(width, height).T


def _polygons(
    polygons: list[Float[np.ndarray, " numbers"]], size: tuple[int, int], who: str
) -> Bool[np.ndarray, "height width"]:
    height, width = size
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2:
            raise LabelError(f"{who}: a polygon has {len(polygon)} numbers; expected x and y of at least 3 corners")
        if not np.isfinite(polygon).all() or np.abs(polygon).max() > 2 * max(size):
            raise LabelError(f"{who}: a polygon's corner is not a number, or lies far outside of the video")
    codec = pycocotools()
    packed = codec.merge(codec.frPyObjects([polygon.tolist() for polygon in polygons], height, width))
    return from_counts(unpack_counts(packed["counts"]), height * width).reshape(width, height).T


def write(path: Path, labels: VideoLabels, *, file_name: str = "{:05d}.jpg", first_number: int = 0) -> None:
    """Writes a COCO file; masks as packed run lengths.

    Args:
        path: The JSON file.
        labels: Anything.
        file_name: How the images are called, with a place for the frame's number.
        first_number: Number of frame 0 in the images' file names.

    Raises:
        LabelError: If there are masks and pycocotools is not installed.
    """
    with naming(path):
        write_json(path, content_of(labels, file_name=file_name, first_number=first_number))
