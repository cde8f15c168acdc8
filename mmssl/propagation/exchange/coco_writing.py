"""The content of a COCO file."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from mmssl.propagation.exchange.coco_schema import pycocotools
from mmssl.propagation.video_labels import FrameLabels, VideoLabels, ids_in


def content_of(labels: VideoLabels, *, file_name: str, first_number: int) -> dict[str, Any]:
    """All of it: an image a labeled frame, an annotation an object on a frame, and the objects as tracks."""
    height, width = labels.size
    categories: dict[tuple[str, tuple[str, ...], tuple[tuple[int, int], ...]], int] = {}
    category_of = {
        each.id: categories.setdefault((each.name, each.point_names, each.skeleton), len(categories) + 1)
        for each in labels.objects
    }
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index, frame in labels.frames.items():
        image: dict[str, Any] = {
            "id": index + 1,
            "file_name": file_name.format(index + first_number),
            "width": width,
            "height": height,
            "frame_index": index,
            "mask_labeled": frame.mask is not None,
            "lost": sorted(frame.lost),
        }
        if frame.pts_seconds is not None:
            image["pts_seconds"] = frame.pts_seconds
        images.append(image)
        shapes = _shapes(frame)
        unseen = {str(key): value for key, value in frame.confidences.items() if key not in shapes}
        if unseen:
            image["confidences"] = unseen
        for object_id, shape in shapes.items():
            common = {"id": len(annotations) + 1, "image_id": index + 1, "category_id": category_of[object_id]}
            score = {"score": frame.confidences[object_id]} if object_id in frame.confidences else {}
            annotations.append(common | {"track_id": object_id, "iscrowd": 0} | shape | score)
    tracks = [
        {"id": each.id, "category_id": category_of[each.id], "name": each.name, "kind": each.kind, "color": each.color}
        for each in labels.objects
    ]
    return {
        "info": {"description": "labels of the frames of one video"},
        "licenses": [],
        "images": images,
        "categories": [_category(number, *facts) for facts, number in categories.items()],
        "annotations": annotations,
        "tracks": tracks,
    }


def _category(
    number: int, name: str, keypoints: tuple[str, ...], skeleton: tuple[tuple[int, int], ...]
) -> dict[str, Any]:
    category: dict[str, Any] = {"id": number, "name": name, "supercategory": ""}
    if keypoints:
        category["keypoints"] = list(keypoints)
        category["skeleton"] = [[first + 1, second + 1] for first, second in skeleton]
    return category


def _shapes(frame: FrameLabels) -> dict[int, dict[str, Any]]:
    """The geometry of each object on a frame."""
    shapes: dict[int, dict[str, Any]] = {}
    if frame.mask is not None and frame.mask.any():
        codec = pycocotools()
        columns_first = np.asfortranarray(frame.mask)
        for object_id in ids_in(frame.mask):
            packed = codec.encode((columns_first == object_id).view(np.uint8))
            shapes[object_id] = {
                "segmentation": {"size": list(packed["size"]), "counts": packed["counts"].decode()},
                "bbox": codec.toBbox(packed).tolist(),
                "area": int(codec.area(packed)),
            }
    for object_id, box in frame.boxes.items():
        left, top, right, bottom = box.tolist()
        area = (right - left) * (bottom - top)
        shapes[object_id] = {"bbox": [left, top, right - left, bottom - top], "area": area, "segmentation": []}
    for object_id, points in frame.keypoints.items():
        there = np.isfinite(points[:, 0])
        if there.any():
            shapes[object_id] = _keypoints(points, there)
            if object_id in frame.keypoint_confidences:
                shapes[object_id]["keypoint_scores"] = frame.keypoint_confidences[object_id].tolist()
    return shapes


def _keypoints(points: Float[np.ndarray, "points 2"], there: Bool[np.ndarray, " points"]) -> dict[str, Any]:
    triples = np.zeros((len(points), 3))
    triples[there, :2] = points[there] - 0.5
    triples[there, 2] = 2
    low, high = points[there].min(axis=0), points[there].max(axis=0)
    extent = high - low
    return {
        "keypoints": triples.reshape(-1).tolist(),
        "num_keypoints": int(there.sum()),
        "bbox": [*low.tolist(), *extent.tolist()],
        "area": float(extent.prod()),
    }
