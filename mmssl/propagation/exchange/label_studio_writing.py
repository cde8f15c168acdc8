"""Tasks of Label Studio: the opposite of reading them."""

from dataclasses import asdict
from typing import Any

import numpy as np

from mmssl.propagation.exchange import brush
from mmssl.propagation.video_labels import FrameLabels, LabelObject, VideoLabels

KEYPOINT_PERCENT = 0.5
"""Width at which keypoints are drawn, in percent of the picture's."""
DECIMALS = 9
"""Of percentages: far below a thousandth of a pixel, and the same text when they are read and written again."""


def video_task(labels: VideoLabels, video: str) -> dict[str, Any]:
    """One task of boxes; every labeled frame is a keyframe, the last of a run is switched off."""
    results = []
    for of in labels.objects:
        frames = [index for index, frame in labels.frames.items() if of.id in frame.boxes]
        if not frames:
            continue
        there = set(frames)
        sequence = []
        for index in frames:
            frame = labels.frames[index]
            position = {
                "frame": index + 1,
                "enabled": index + 1 in there,
                "rotation": 0,
                **_percent(frame, of, labels.size),
            }
            if frame.pts_seconds is not None:
                position["time"] = frame.pts_seconds
            if of.id in frame.confidences:
                position["score"] = frame.confidences[of.id]
            sequence.append(position)
        value = {"sequence": sequence, "labels": [of.name]}
        if labels.num_frames is not None:
            value["framesCount"] = labels.num_frames
        results.append(_result(labels, f"object-{of.id}", "videorectangle", value, to_name="video"))
    data = {"video": video, "objects": _objects(labels), "lost": _lost(labels.frames)}
    return {"data": data, "annotations": [{"result": results}]}


def image_tasks(labels: VideoLabels, file_name: str, first_number: int) -> list[dict[str, Any]]:
    """One task a frame; the first lists the objects."""
    tasks: list[dict[str, Any]] = []
    for index, frame in labels.frames.items():
        results = [result for of in labels.objects for result in _regions(labels, frame, of)]
        data: dict[str, Any] = {
            "image": file_name.format(index + first_number),
            "frame": index,
            "lost": _lost({index: frame}),
            "mask_labeled": frame.mask is not None,
            "confidences": {str(key): value for key, value in frame.confidences.items()},
        }
        if frame.pts_seconds is not None:
            data["pts_seconds"] = frame.pts_seconds
        if not tasks:
            data["objects"] = _objects(labels)
        tasks.append({"data": data, "annotations": [{"result": results}]})
    return tasks


def _objects(labels: VideoLabels) -> list[dict[str, Any]]:
    return [asdict(each) for each in labels.objects]


def _lost(frames: Any) -> dict[str, list[int]]:
    return {str(index): sorted(frame.lost) for index, frame in frames.items() if frame.lost}


def _result(labels: VideoLabels, region_id: str, kind: str, value: dict[str, Any], *, to_name: str) -> dict[str, Any]:
    return {
        "id": region_id,
        "type": kind,
        "from_name": "box" if kind == "videorectangle" else kind,
        "to_name": to_name,
        "original_width": labels.size[1],
        "original_height": labels.size[0],
        "image_rotation": 0,
        "value": value,
    }


def _percent(frame: FrameLabels, of: LabelObject, size: tuple[int, int]) -> dict[str, float]:
    scale = 100 / np.array([size[1], size[0]])
    (left, top), (width, height) = (
        frame.boxes[of.id][:2] * scale,
        (frame.boxes[of.id][2:] - frame.boxes[of.id][:2]) * scale,
    )
    values = zip(("x", "y", "width", "height"), (left, top, width, height), strict=True)
    return {name: round(float(value), DECIMALS) for name, value in values}


def _regions(labels: VideoLabels, frame: FrameLabels, of: LabelObject) -> list[dict[str, Any]]:
    """The regions of one object on one frame."""
    region_id = f"object-{of.id}"
    score = {"score": frame.confidences[of.id]} if of.id in frame.confidences else {}
    if of.kind == "mask":
        where = None if frame.mask is None else frame.mask == of.id
        if where is None or not where.any():
            return []
        value: dict[str, Any] = {"format": "rle", "rle": brush.pack(where), "brushlabels": [of.name]}
        return [_result(labels, region_id, "brushlabels", value, to_name="image") | score]
    if of.kind == "box":
        if of.id not in frame.boxes:
            return []
        value = {**_percent(frame, of, labels.size), "rotation": 0, "rectanglelabels": [of.name]}
        return [_result(labels, region_id, "rectanglelabels", value, to_name="image") | score]
    return _joints(labels, frame, of)


def _joints(labels: VideoLabels, frame: FrameLabels, of: LabelObject) -> list[dict[str, Any]]:
    if of.id not in frame.keypoints:
        return []
    scale = 100 / np.array([labels.size[1], labels.size[0]])
    confidences = frame.keypoint_confidences.get(of.id, np.full(of.num_points, np.nan))
    results = []
    for name, point, confidence in zip(of.point_names, frame.keypoints[of.id], confidences, strict=True):
        if np.isnan(point[0]):
            continue
        x, y = (point * scale).round(DECIMALS).tolist()
        value = {"x": x, "y": y, "width": KEYPOINT_PERCENT, "keypointlabels": [name]}
        result = _result(labels, f"object-{of.id}-{name}", "keypointlabels", value, to_name="image")
        result["meta"] = {"text": [of.name]}
        if not np.isnan(confidence):
            result["score"] = float(confidence)
        results.append(result)
    return results
