"""The XML tree of CVAT for video."""

from collections.abc import Mapping
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np
from jaxtyping import Bool, Float

from mmssl.propagation.exchange.rle import to_counts
from mmssl.propagation.video_labels import FrameLabels, LabelObject, VideoLabels

ATTRIBUTES = ("confidence", "keypoint_confidences", "lost")
CVAT_TYPES = {"mask": "mask", "box": "rectangle", "keypoints": "skeleton", "point": "points"}


def tree(labels: VideoLabels, task_name: str) -> Element:
    """All of a file: head and tracks."""
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    _head(SubElement(root, "meta"), labels, task_name)
    number = 0
    for of in labels.objects:
        common = {"label": of.name, "source": "file", "group_id": str(of.id)}
        if of.kind == "mask":
            for index, frame in labels.frames.items():
                if frame.mask is not None and (where := frame.mask == of.id).any():
                    track = SubElement(root, "track", {"id": str(number), **common})
                    number += 1
                    _mask(track, labels, index, frame, of, where)
        elif any(of.id in frame.boxes or of.id in frame.keypoints for frame in labels.frames.values()):
            _track(SubElement(root, "track", {"id": str(number), **common}), labels, of)
            number += 1
    return root


def _head(meta: Element, labels: VideoLabels, task_name: str) -> None:
    task = SubElement(meta, "task")
    last = max(labels.frames) if labels.num_frames is None else labels.num_frames - 1
    for tag, text in (("name", task_name), ("size", str(last + 1)), ("mode", "interpolation"), ("start_frame", "0")):
        SubElement(task, tag).text = text
    SubElement(task, "stop_frame").text = str(last)
    listed = SubElement(task, "labels")
    named = {of.name: of for of in reversed(labels.objects)}
    for of in reversed(named.values()):
        label = SubElement(listed, "label")
        SubElement(label, "name").text = of.name
        if of.color is not None:
            SubElement(label, "color").text = "#" + bytes(of.color).hex()
        SubElement(label, "type").text = CVAT_TYPES[of.kind]
        attributes = SubElement(label, "attributes")
        for name in ATTRIBUTES:
            attribute = SubElement(attributes, "attribute")
            for tag, text in (("name", name), ("mutable", "True"), ("input_type", "text"), ("default_value", "")):
                SubElement(attribute, tag).text = text
        if of.kind == "keypoints":
            SubElement(label, "svg").text = _drawing(of)
            for joint in of.keypoint_names:
                below = SubElement(listed, "label")
                for tag, text in (("name", joint), ("type", "points"), ("parent", of.name)):
                    SubElement(below, tag).text = text
    size = SubElement(task, "original_size")
    SubElement(size, "width").text, SubElement(size, "height").text = str(labels.size[1]), str(labels.size[0])


def _drawing(of: LabelObject) -> str:
    """The skeleton as the drawing that CVAT's editor makes of it, joints on a circle."""
    turns = np.arange(of.num_points) * (2 * np.pi / of.num_points)
    places = np.stack([50 + 40 * np.cos(turns), 50 + 40 * np.sin(turns)], axis=1).round(2).tolist()
    elements = [
        Element(
            "line",
            {
                "x1": str(places[first][0]),
                "y1": str(places[first][1]),
                "x2": str(places[second][0]),
                "y2": str(places[second][1]),
                "data-type": "edge",
                "data-node-from": str(first + 1),
                "data-node-to": str(second + 1),
            },
        )
        for first, second in of.skeleton
    ]
    for number, (name, (x, y)) in enumerate(zip(of.keypoint_names, places, strict=True), start=1):
        facts = {"r": "0.75", "cx": str(x), "cy": str(y), "data-type": "element node", "data-element-id": str(number)}
        elements.append(Element("circle", {**facts, "data-node-id": str(number), "data-label-name": name}))
    return "".join(ElementTree.tostring(each, encoding="unicode") for each in elements)


def _flags(index: int, *, outside: bool) -> dict[str, str]:
    return {
        "frame": str(index),
        "keyframe": "1",
        "outside": str(int(outside)),
        "occluded": "0",
        "z_order": "0",
    }


def _mask(
    track: Element,
    labels: VideoLabels,
    index: int,
    frame: FrameLabels,
    of: LabelObject,
    where: Bool[np.ndarray, "height width"],
) -> None:
    """One mask, switched off on the next frame."""
    rows, columns = np.flatnonzero(where.any(axis=1)), np.flatnonzero(where.any(axis=0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    geometry = {
        "rle": ", ".join(map(str, to_counts(where[top:bottom, left:right].reshape(-1)).tolist())),
        "left": str(left),
        "top": str(top),
        "width": str(right - left),
        "height": str(bottom - top),
    }
    _facts(SubElement(track, "mask", _flags(index, outside=False) | geometry), frame, of)
    if _exists(index + 1, labels):
        SubElement(track, "mask", _flags(index + 1, outside=True) | geometry)


def _track(track: Element, labels: VideoLabels, of: LabelObject) -> None:
    """An object's shapes: on where it is labeled, off on the first frame after and where it is lost."""
    shapes: Mapping[int, Float[np.ndarray, " *shape"]] = {
        index: frame.boxes[of.id] if of.kind == "box" else frame.keypoints[of.id]
        for index, frame in labels.frames.items()
        if of.id in frame.boxes or (of.id in frame.keypoints and np.isfinite(frame.keypoints[of.id]).any())
    }
    if not shapes:
        return
    lost = {index for index, frame in labels.frames.items() if of.id in frame.lost} - set(shapes)
    ends = {index + 1 for index in shapes if _exists(index + 1, labels)} - set(shapes)
    geometry = shapes[min(shapes)]
    for index in sorted(set(shapes) | lost | ends):
        geometry = shapes.get(index, geometry)
        element = _shape(track, index, of, geometry, outside=index not in shapes)
        if index in shapes:
            _facts(element, labels.frames[index], of)
        elif index in lost:
            SubElement(element, "attribute", {"name": "lost"}).text = "true"


def _exists(index: int, labels: VideoLabels) -> bool:
    return labels.num_frames is None or index < labels.num_frames


def _shape(
    track: Element, index: int, of: LabelObject, geometry: Float[np.ndarray, " *shape"], *, outside: bool
) -> Element:
    flags = _flags(index, outside=outside)
    if of.kind == "box":
        edges = zip(("xtl", "ytl", "xbr", "ybr"), geometry.tolist(), strict=True)
        return SubElement(track, "box", flags | {name: _text(value) for name, value in edges})
    if of.kind == "point":
        return SubElement(track, "points", flags | {"points": _pair(*geometry[0].tolist())})
    skeleton = SubElement(track, "skeleton", {name: flags[name] for name in ("frame", "keyframe", "z_order")})
    middle = np.nanmean(geometry, axis=0)
    for name, point in zip(of.keypoint_names, geometry, strict=True):
        absent = bool(np.isnan(point[0]))
        place = (middle if absent else point).tolist()
        facts = {"label": name, "keyframe": "1", "outside": str(int(absent or outside)), "occluded": "0"}
        SubElement(skeleton, "points", facts | {"points": _pair(*place)})
    return skeleton


def _facts(element: Element, frame: FrameLabels, of: LabelObject) -> None:
    if of.id in frame.confidences:
        SubElement(element, "attribute", {"name": "confidence"}).text = repr(frame.confidences[of.id])
    if of.id in frame.keypoint_confidences:
        values = frame.keypoint_confidences[of.id].tolist()
        text = ",".join("" if np.isnan(value) else repr(value) for value in values)
        SubElement(element, "attribute", {"name": "keypoint_confidences"}).text = text


def _text(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _pair(x: float, y: float) -> str:
    return f"{_text(x)},{_text(y)}"
