"""DeepLabCut CSV: the labels of a project (`CollectedData_*.csv`) and the tables that its networks write.

Header rows are scorer, individuals (of several animals), bodyparts, coords; then a row a frame. The index is a frame number, or
the image's path in one or three columns, whose last number is the frame. The individual `single` holds the points that are no
animal's. DeepLabCut counts pixels, so that 0 is the center of the first: 0.5 is added. An empty cell is an absent point.

Holds keypoints and free points (others are refused), names and keypoint confidences (`likelihood`). Does not hold ids that
do not follow from the names (see `building.ids_by_name`), skeleton edges, colors, confidences of whole objects, lost flags, nor
the name of an only object in the single-animal layout (announced).
"""

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from mmssl.errors import LabelError
from mmssl.propagation.exchange.building import LabelBuilder, frame_of_name, ids_by_name
from mmssl.propagation.exchange.files import naming, read_table, write_whole
from mmssl.propagation.exchange.losses import announce_losses, check_kinds, check_unique_names
from mmssl.propagation.video_labels import FrameLabels, LabelObject, VideoLabels, object_with_points

FORM = "DeepLabCut CSV"
HEADERS = ("scorer", "individuals", "bodyparts", "coords")
ONLY_NAME = "object 1"
"""What the only animal of the single-animal layout is called."""


@dataclass(frozen=True)
class Layout:
    """Where a table's columns are: of each animal and body part, the columns of x, y and likelihood (or -1)."""

    num_headers: int
    num_index: int
    columns: dict[str, dict[str, dict[str, int]]]


def read(
    path: Path,
    *,
    size: tuple[int, int],
    num_frames: int | None = None,
    pts_seconds: Sequence[float] | None = None,
    first_number: int = 0,
) -> VideoLabels:
    """Reads a table of one animal or of several.

    Args:
        path: The file.
        size: Height and width of the video in pixels.
        num_frames: Frames of the video.
        pts_seconds: Presentation time of each frame of the video.
        first_number: Number of frame 0 in the images' names, or in the index.

    Raises:
        LabelError: If the file is no such table, or does not fit the video.
    """
    rows = read_table(path)
    with naming(path):
        layout = _layout(rows)
        ids = ids_by_name(layout.columns)
        objects = [object_with_points(ids[name], name, tuple(parts)) for name, parts in layout.columns.items()]
        builder = LabelBuilder(path, objects, size=size, num_frames=num_frames, pts_seconds=pts_seconds)
        width = len(rows[0])
        data = [(line, row) for line, row in enumerate(rows[layout.num_headers :], layout.num_headers + 1) if any(row)]
        seen: dict[int, int] = {}
        for line, row in data:
            if len(row) != width:
                raise LabelError(f"line {line} has {len(row)} cells, the header has {width}; the file may be cut short")
            frame = _frame(row[: layout.num_index], line) - first_number
            if frame in seen:
                raise LabelError(f"lines {seen[frame]} and {line} are both frame {frame}")
            seen[frame] = line
            values = _values(row[layout.num_index :], line)
            for of in objects:
                parts = layout.columns[of.name].values()
                points = np.array([[values[part["x"]], values[part["y"]]] for part in parts]) + 0.5
                scores = [values[part["likelihood"]] if "likelihood" in part else np.nan for part in parts]
                given = any("likelihood" in part for part in parts)
                builder.put_keypoints(frame, of.id, points, np.array(scores) if given else None)
        return builder.build()


def _layout(rows: list[list[str]]) -> Layout:
    heads = [row[0].strip().lower() for row in rows[:4] if row]
    num_headers = 4 if heads[1:2] == ["individuals"] else 3
    expected = list(HEADERS) if num_headers == 4 else [name for name in HEADERS if name != "individuals"]
    if heads[:num_headers] != expected:
        raise LabelError(
            f"is not a DeepLabCut table: its first rows start with {heads[:4]}, expected {expected}, "
            "with 'individuals' second where there are several animals"
        )
    headers = rows[:num_headers]
    if len({len(row) for row in headers}) > 1:
        raise LabelError("is not a DeepLabCut table: its header rows have different lengths")
    num_index = next((at for at, cell in enumerate(headers[0][1:], start=1) if cell), len(headers[0]))
    scorers = set(headers[0][num_index:])
    if len(scorers) != 1:
        raise LabelError(f"holds labels of {len(scorers)} scorers {sorted(scorers)}; give a table of one")
    animals = headers[1][num_index:] if num_headers == 4 else [ONLY_NAME] * (len(headers[0]) - num_index)
    columns: dict[str, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    for at, (animal, part, coordinate) in enumerate(
        zip(animals, headers[-2][num_index:], headers[-1][num_index:], strict=True)
    ):
        if coordinate not in ("x", "y", "likelihood"):
            raise LabelError(f"the column of {animal} {part} is called {coordinate!r}; expected x, y or likelihood")
        if coordinate in columns[animal][part]:
            raise LabelError(f"the column {coordinate} of {animal} {part} stands twice")
        columns[animal][part][coordinate] = at
    for animal, parts in columns.items():
        for part, found in parts.items():
            if not {"x", "y"} <= set(found):
                raise LabelError(f"{animal} {part} has no column {'y' if 'x' in found else 'x'}")
    return Layout(num_headers, num_index, {name: dict(parts) for name, parts in columns.items()})


def _frame(cells: list[str], line: int) -> int:
    name = cells[-1]
    try:
        return int(name) if len(cells) == 1 and name.isdecimal() else frame_of_name(name)
    except LabelError as error:
        raise LabelError(f"line {line}: {error}") from error


def _values(cells: list[str], line: int) -> list[float]:
    try:
        return [float(cell) if cell else np.nan for cell in cells]
    except ValueError as error:
        raise LabelError(f"line {line}: {error}") from error


def write(
    path: Path,
    labels: VideoLabels,
    *,
    scorer: str = "mmssl",
    multi_animal: bool | None = None,
    image_folder: str | None = None,
    first_number: int = 0,
) -> None:
    """Writes a table.

    Args:
        path: The file; a project expects `labeled-data/VIDEO/CollectedData_SCORER.csv`.
        labels: Keypoints and free points.
        scorer: Who labeled.
        multi_animal: Layout with individuals; None for several objects only.
        image_folder: Name of the video's folder of images, for the layout of a project; None for frame numbers.
        first_number: Number of frame 0 in the images' names, or in the index.

    Raises:
        LabelError: If there are masks or boxes, two objects share a name, or several do not fit the layout.
    """
    with naming(path):
        check_kinds(labels, FORM, ("keypoints", "point"))
        check_unique_names(labels, FORM)
        several = len(labels.objects) > 1 if multi_animal is None else multi_animal
        if len(labels.objects) > 1 and not several:
            raise LabelError(f"the single-animal layout holds one object, and there are {len(labels.objects)}")
        held = {"keypoint confidences", "frames without any object", "objects without labels"}
        announce_losses(path, labels, FORM, held=held | ({"names"} if several else set()))
        with_likelihood = any(frame.keypoint_confidences for frame in labels.frames.values())
        coordinates = ("x", "y", "likelihood") if with_likelihood else ("x", "y")
        columns = [
            (of.name, part, coordinate)
            for of in labels.objects
            for part in of.point_names
            for coordinate in coordinates
        ]
        blank = [""] * (2 if image_folder is not None else 0)
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(["scorer", *blank, *[scorer] * len(columns)])
        if several:
            writer.writerow(["individuals", *blank, *[name for name, _, _ in columns]])
        writer.writerow(["bodyparts", *blank, *[part for _, part, _ in columns]])
        writer.writerow(["coords", *blank, *[coordinate for _, _, coordinate in columns]])
        digits = max(4, len(str(max(labels.frames) + first_number)))
        for index, frame in labels.frames.items():
            number = index + first_number
            image = ["labeled-data", image_folder, f"img{number:0{digits}d}.png"]
            cells = np.concatenate([_cells(frame, of, with_likelihood=with_likelihood) for of in labels.objects])
            texts = ["" if np.isnan(value) else repr(value) for value in cells.tolist()]
            writer.writerow([*(image if image_folder is not None else [number]), *texts])
        write_whole(path, table.getvalue().encode())


def _cells(frame: FrameLabels, of: LabelObject, *, with_likelihood: bool) -> Float[np.ndarray, " cells"]:
    absent = np.full((of.num_points, 2), np.nan)
    points = frame.keypoints.get(of.id, absent) - 0.5
    if with_likelihood:
        scores = frame.keypoint_confidences.get(of.id, absent[:, 0])
        points = np.concatenate([points, scores[:, None]], axis=1)
    return points.reshape(-1)
