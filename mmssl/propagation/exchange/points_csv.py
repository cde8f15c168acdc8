"""A plain table of points: columns frame, time_seconds, object, point, x, y, confidence, in any order; one row a point and frame.

`frame`, `x` and `y` are needed. Coordinates are pixels as everywhere here: the center of the first is 0.5. Where x and y are both
empty the point is absent. An object's name may be any text, `object 7` or `7` names number 7; without the column there is one
object. Without `point` an object is a free point.

Holds keypoints and free points (others are refused), names, times and keypoint confidences. Does not hold ids that do
not follow from the names (see `building.ids_by_name`), skeleton edges, colors, confidences of whole objects and lost flags
(announced).
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmssl.errors import LabelError
from mmssl.propagation.exchange.building import LabelBuilder, ids_by_name
from mmssl.propagation.exchange.files import naming, read_table, write_whole
from mmssl.propagation.exchange.losses import announce_losses, check_kinds, check_unique_names
from mmssl.propagation.video_labels import POINT_NAME, VideoLabels, object_with_points

FORM = "points CSV"
COLUMNS = ("frame", "time_seconds", "object", "point", "x", "y", "confidence")
NEEDED = ("frame", "x", "y")


def read(
    path: Path,
    *,
    size: tuple[int, int],
    num_frames: int | None = None,
    pts_seconds: Sequence[float] | None = None,
) -> VideoLabels:
    """Reads a table.

    Args:
        path: The file.
        size: Height and width of the video in pixels.
        num_frames: Frames of the video.
        pts_seconds: Presentation time of each frame of the video; without it, the table's are taken.

    Raises:
        LabelError: If the file is no such table, or does not fit the video.
    """
    table = read_table(path)
    with naming(path):
        header = [cell.strip().lower() for cell in table[0]]
        missing = [name for name in NEEDED if name not in header]
        unknown = [name for name in header if name not in COLUMNS]
        if missing or unknown or len(set(header)) < len(header):
            raise LabelError(f"is not a table of points: its columns are {header}, expected {list(COLUMNS)}")
        points: dict[str, dict[str, int]] = {}
        rows: dict[tuple[int, str], list[tuple[int, float, float, float]]] = {}
        times: dict[int, float] = {}
        for line, cells in enumerate(table[1:], start=2):
            if not any(cells):
                continue
            if len(cells) != len(header):
                raise LabelError(f"line {line} has {len(cells)} cells, the header has {len(header)}")
            row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
            name = _object_name(row)
            names = points.setdefault(name, {})
            place = names.setdefault(row.get("point") or POINT_NAME, len(names))
            frame = _frame(row["frame"], line)
            x, y = _number(row, "x", line), _number(row, "y", line)
            if np.isnan(x) != np.isnan(y):
                raise LabelError(
                    f"line {line}: {'x' if np.isnan(x) else 'y'} is empty; leave both empty for an absent point"
                )
            rows.setdefault((frame, name), []).append((place, x, y, _number(row, "confidence", line)))
            if row.get("time_seconds"):
                times[frame] = _number(row, "time_seconds", line)
        ids = ids_by_name(points)
        objects = [object_with_points(ids[name], name, tuple(names)) for name, names in points.items()]
        builder = LabelBuilder(path, objects, size=size, num_frames=num_frames, pts_seconds=pts_seconds)
        for (frame, name), found in rows.items():
            places = [place for place, _, _, _ in found]
            if len(set(places)) < len(places):
                raise LabelError(f"frame {frame}: a point of {name!r} stands twice")
            values = np.full((len(points[name]), 3), np.nan)
            values[places] = [numbers for _, *numbers in found]
            known = not np.isnan(values[:, 2]).all()
            builder.put_keypoints(frame, ids[name], values[:, :2], values[:, 2] if known else None)
            builder.put_frame(frame, pts_seconds=times.get(frame))
        return builder.build()


def _object_name(row: dict[str, str]) -> str:
    text = row.get("object") or "1"
    return f"object {int(text)}" if text.isdecimal() else text


def _frame(text: str, line: int) -> int:
    if not text.isdecimal():
        raise LabelError(f"line {line}: the frame is {text!r}; expected a whole number from 0")
    return int(text)


def _number(row: dict[str, str], name: str, line: int) -> float:
    """A cell's number, NaN where it is empty."""
    text = row.get(name, "")
    if not text:
        return float("nan")
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise LabelError(f"line {line}: {name} is {text!r}; expected a number, or nothing where the point is absent")
    return value


def write(path: Path, labels: VideoLabels) -> None:
    """Writes a table; the first frame names all objects and points, so that they keep their order.

    Args:
        path: The file.
        labels: Keypoints and free points.

    Raises:
        LabelError: If there are masks or boxes, or two objects share a name.
    """
    with naming(path):
        check_kinds(labels, FORM, ("keypoints", "point"))
        check_unique_names(labels, FORM)
        held = {"names", "keypoint confidences", "frames without any object", "objects without labels"}
        announce_losses(path, labels, FORM, held=held)
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(COLUMNS)
        first = min(labels.frames)
        for index, frame in sorted(labels.frames.items()):
            time = "" if frame.pts_seconds is None else repr(frame.pts_seconds)
            shown = [of for of in labels.objects if index == first or of.id in frame.keypoints] or labels.objects[:1]
            for of in shown:
                absent = np.full((of.num_points, 2), np.nan)
                confidences = frame.keypoint_confidences.get(of.id, absent[:, 0])
                points = frame.keypoints.get(of.id, absent)
                for name, (x, y), confidence in zip(of.point_names, points.tolist(), confidences.tolist(), strict=True):
                    cells = ["" if np.isnan(value) else repr(value) for value in (x, y, confidence)]
                    writer.writerow([index, time, of.name, name, *cells])
        write_whole(path, table.getvalue().encode())
