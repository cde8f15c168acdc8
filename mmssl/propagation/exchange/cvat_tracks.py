"""Tracks of a CVAT for video XML file: parsing, and filling in between keyframes as CVAT does."""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Float

from mmssl.errors import LabelError
from mmssl.propagation.exchange.building import MAX_GAP_FRAMES
from mmssl.propagation.exchange.files import read_bytes

SHAPES = ("box", "polygon", "points", "mask", "skeleton")
OTHER_SHAPES = ("polyline", "ellipse", "cuboid")
MAX_XML_BYTES = 2**31


@dataclass(frozen=True, eq=False)
class Shape:
    """One object on one frame.

    Args:
        kind: One of `SHAPES`.
        frame: Frame index.
        outside: Whether the object is switched off here.
        keyframe: Whether a person set it; otherwise the tool filled it in.
        points: Corners of a box (left top, right bottom) or polygon, or points; NaN for an absent joint.
        rotation: Degrees clockwise about a box's center.
        runs: Run lengths of a mask within its rectangle.
        rectangle: Left, top, width and height of a mask.
        joints: Names of a skeleton's points.
        attributes: Values by name.
    """

    kind: str
    frame: int
    outside: bool
    keyframe: bool
    points: Float[np.ndarray, "points 2"]
    rotation: float = 0.0
    runs: str = ""
    rectangle: tuple[int, int, int, int] = (0, 0, 0, 0)
    joints: tuple[str, ...] = ()
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Track:
    """An object through the video, shapes in the order of their frames."""

    number: int
    label: str
    group: int
    shapes: tuple[Shape, ...]


@dataclass(frozen=True)
class CvatLabel:
    """What the file's head says of a label: its color and, for a skeleton, joints and edges."""

    color: tuple[int, int, int] | None = None
    joints: tuple[str, ...] = ()
    edges: tuple[tuple[int, int], ...] = ()


def parse(path: Path) -> ElementTree.Element:
    """The root of a CVAT for video file, or of `annotations.xml` in the zip that CVAT exports.

    Raises:
        LabelError: If it is not that.
    """
    data = read_bytes(path)
    if zipfile.is_zipfile(io.BytesIO(data)):
        data = _from_zip(path, data)
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise LabelError(f"{path}: declares its own XML entities, which no CVAT export does; not read")
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise LabelError(f"{path}: is not XML, or cut short: {error}") from error
    if root.tag != "annotations":
        raise LabelError(f"{path}: is XML but not CVAT's: starts with <{root.tag}>, expected <annotations>")
    if root.find("track") is None:
        kind = "is CVAT for images" if root.find("image") is not None else "holds no <track>"
        raise LabelError(f"{path}: {kind}; export as 'CVAT for video 1.1'")
    return root


def _from_zip(path: Path, data: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            info = archive.getinfo("annotations.xml")
            if info.file_size > MAX_XML_BYTES:
                raise LabelError(f"{path}: annotations.xml claims {info.file_size} bytes; not read")
            return archive.read(info)
    except KeyError:
        raise LabelError(f"{path}: the zip holds no annotations.xml, as a 'CVAT for video' export does") from None
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise LabelError(f"{path}: the zip is damaged: {error}") from error


def original_size(root: ElementTree.Element) -> tuple[int, int] | None:
    """Height and width of the video that was labeled, where the file says them."""
    height, width = root.findtext("meta//original_size/height"), root.findtext("meta//original_size/width")
    return (int(height), int(width)) if height and width else None


def labels_of(root: ElementTree.Element) -> dict[str, CvatLabel]:
    """The labels in the file's head, by name."""
    labels: dict[str, CvatLabel] = {}
    for element in root.iterfind("meta//label"):
        name = element.findtext("name")
        if name and not element.findtext("parent"):
            joints, edges = _skeleton(element.findtext("svg") or "")
            labels[name] = CvatLabel(_color(element.findtext("color") or ""), joints, edges)
    return labels


def _color(text: str) -> tuple[int, int, int] | None:
    try:
        red, green, blue = bytes.fromhex(text.removeprefix("#"))
    except ValueError:
        return None
    return red, green, blue


def _skeleton(svg: str) -> tuple[tuple[str, ...], tuple[tuple[int, int], ...]]:
    """Joints and edges of the drawing that defines a skeleton: circles are joints, lines join them by node id."""
    try:
        drawing = ElementTree.fromstring(f"<g>{svg}</g>")
    except ElementTree.ParseError:
        return (), ()
    circles = [each for each in drawing.iter("circle") if each.get("data-label-name")]
    joints = tuple(each.get("data-label-name", "") for each in circles)
    position = {each.get("data-node-id"): index for index, each in enumerate(circles)}
    ends = [(each.get("data-node-from"), each.get("data-node-to")) for each in drawing.iter("line")]
    return joints, tuple((position[a], position[b]) for a, b in ends if a in position and b in position)


def tracks_of(root: ElementTree.Element) -> list[Track]:
    """All tracks.

    Raises:
        LabelError: If one holds what cannot be read.
    """
    tracks = []
    for position, element in enumerate(root.iterfind("track")):
        label = element.get("label") or ""
        number = int(element.get("id", position))
        who = f"track {number} ({label})"
        if not label:
            raise LabelError(f"{who} has no label")
        shapes = []
        for child in element:
            if child.tag in OTHER_SHAPES:
                raise LabelError(f"{who} is a {child.tag}, which is not supported; shapes are {list(SHAPES)}")
            if child.tag in SHAPES:
                try:
                    shapes.append(_shape(child))
                except (KeyError, ValueError) as error:
                    what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
                    raise LabelError(f"{who}, frame {child.get('frame')}: {child.tag}: {what}") from error
        shapes.sort(key=lambda shape: shape.frame)
        twice = next((a.frame for a, b in pairwise(shapes) if a.frame == b.frame), None)
        if twice is not None:
            raise LabelError(f"{who} stands twice on frame {twice}")
        if shapes:
            tracks.append(Track(number, label, int(element.get("group_id", 0)), tuple(shapes)))
    return tracks


def _shape(element: ElementTree.Element) -> Shape:
    shape = Shape(
        kind=element.tag,
        frame=int(element.attrib["frame"]),
        outside=element.get("outside", "0") == "1",
        keyframe=element.get("keyframe", "1") == "1",
        points=np.zeros((0, 2)),
        rotation=float(element.get("rotation", 0)),
        attributes={each.get("name", ""): each.text or "" for each in element.iterfind("attribute")},
    )
    if element.tag == "box":
        edges = [float(element.attrib[name]) for name in ("xtl", "ytl", "xbr", "ybr")]
        return replace(shape, points=_finite(np.array(edges).reshape(2, 2)))
    if element.tag == "mask":
        left, top, width, height = (int(element.attrib[name]) for name in ("left", "top", "width", "height"))
        return replace(shape, runs=element.attrib["rle"], rectangle=(left, top, width, height))
    if element.tag == "skeleton":
        joints = element.findall("points")
        points = [[np.nan, np.nan] if each.get("outside") == "1" else _pairs(each)[0].tolist() for each in joints]
        return replace(
            shape,
            joints=tuple(each.attrib["label"] for each in joints),
            points=np.array(points, dtype=np.float64).reshape(-1, 2),
            outside=all(each.get("outside") == "1" for each in joints),
        )
    return replace(shape, points=_pairs(element))


def _pairs(element: ElementTree.Element) -> Float[np.ndarray, "points 2"]:
    rows = [pair.split(",") for pair in element.attrib["points"].split(";")]
    if any(len(row) != 2 for row in rows):
        raise ValueError("points must be x,y;x,y;...")
    return _finite(np.array(rows, dtype=np.float64))


def _finite(points: Float[np.ndarray, "points 2"]) -> Float[np.ndarray, "points 2"]:
    if not np.isfinite(points).all():
        raise ValueError("a coordinate is not a finite number")
    return points


def filled(track: Track, *, keyframes_only: bool) -> Iterator[Shape]:
    """A track's shapes, with the frames between two of them filled in.

    Boxes, single points and joints move in a straight line; several points stay as they were; polygons and masks are not filled
    in. Nothing is filled in while the object is outside. An export lists these frames itself; a file of keyframes may not.
    """
    shapes = [shape for shape in track.shapes if shape.keyframe or not keyframes_only]
    for now, following in pairwise(shapes):
        yield now
        gap = following.frame - now.frame
        if gap > MAX_GAP_FRAMES:
            raise LabelError(f"track {track.number} ({track.label}) has {gap} frames between two shapes")
        if keyframes_only or now.outside or now.kind in ("polygon", "mask") or now.kind != following.kind:
            continue
        for step in range(1, gap):
            points = now.points + (_target(now, following) - now.points) * (step / gap)
            yield replace(now, frame=now.frame + step, keyframe=False, points=points)
    yield from shapes[-1:]


def _target(now: Shape, following: Shape) -> Float[np.ndarray, "points 2"]:
    """Where the points go: each stays where the next shape does not have it."""
    if now.kind == "points":
        return following.points if len(now.points) == len(following.points) == 1 else now.points
    if now.kind == "box":
        return following.points
    there = dict(zip(following.joints, following.points, strict=True))
    target = np.array([there.get(joint, point) for joint, point in zip(now.joints, now.points, strict=True)])
    return np.where(np.isnan(target), now.points, target)
