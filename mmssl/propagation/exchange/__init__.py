"""Labels in and out of annotation tools' files: one module a format, registered in `LABEL_FORMATS`.

Every reader converts to the pixel convention of `mmssl.propagation.video_labels` and checks what it reads against the video.
Times belong to the video: a reader takes them from `pts_seconds`. What a format cannot hold is refused (labels of a kind) or
announced by a `LabelWarning` (side facts); each module says which.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmssl.errors import LabelError
from mmssl.propagation.exchange import coco, cvat, deeplabcut, indexed_png, label_studio, points_csv, sleap
from mmssl.propagation.exchange.files import read_json, read_text
from mmssl.propagation.video_labels import VideoLabels


@dataclass(frozen=True)
class LabelFormat:
    """One file format.

    Args:
        read: `read(path, *, size, num_frames, pts_seconds, ...)`.
        write: `write(path, labels, ...)`.
        about: What it is and holds, in a few words.
        suffix: What its files' names end in; an empty string for a folder.
    """

    read: Callable[..., VideoLabels]
    write: Callable[..., None]
    about: str
    suffix: str


LABEL_FORMATS: Mapping[str, LabelFormat] = {
    "indexed_png": LabelFormat(indexed_png.read, indexed_png.write, "index masks as PNG, as DAVIS has them", ""),
    "coco": LabelFormat(coco.read, coco.write, "COCO JSON: masks, boxes, keypoints", ".json"),
    "cvat": LabelFormat(cvat.read, cvat.write, "CVAT for video 1.1: boxes, masks, skeletons, points", ".xml"),
    "label_studio": LabelFormat(
        label_studio.read,
        label_studio.write,
        "Label Studio JSON: video boxes; images with masks and keypoints",
        ".json",
    ),
    "deeplabcut": LabelFormat(deeplabcut.read, deeplabcut.write, "DeepLabCut CSV: keypoints", ".csv"),
    "sleap": LabelFormat(sleap.read, sleap.write, "SLEAP .slp: keypoints", ".slp"),
    "points_csv": LabelFormat(points_csv.read, points_csv.write, "a plain table of points", ".csv"),
}


def detect_format(path: Path) -> str:
    """The format's name in `LABEL_FORMATS`, by suffix and content.

    Raises:
        LabelError: If it is none of them, or a folder in which several files could be meant.
    """
    if path.is_dir():
        return _detect_in_folder(path)
    suffix = path.suffix.lower()
    by_suffix = {".png": "indexed_png", ".xml": "cvat", ".zip": "cvat", ".slp": "sleap"}
    if suffix in by_suffix:
        return by_suffix[suffix]
    if suffix == ".json":
        return _detect_json(path)
    if suffix == ".csv":
        first = read_text(path).lstrip().split("\n", 1)[0].strip().lower()
        cells = [cell.strip('" ') for cell in first.split(",")]
        if cells[0] == "scorer":
            return "deeplabcut"
        if set(points_csv.NEEDED) <= set(cells):
            return "points_csv"
        raise LabelError(
            f"{path}: is neither a DeepLabCut table (first cell 'scorer') nor a table of points (columns "
            f"{', '.join(points_csv.COLUMNS)}); its first line starts with {first[:40]!r}"
        )
    raise LabelError(
        f"{path}: no label format has files that end in {suffix or 'nothing'!r}; formats are {sorted(LABEL_FORMATS)}"
    )


def _detect_in_folder(path: Path) -> str:
    found = sorted(each for each in path.iterdir() if each.suffix.lower() in (".xml", ".json", ".slp", ".csv", ".zip"))
    has_masks = any(path.glob("*.png"))
    if has_masks and not found:
        return "indexed_png"
    if has_masks:
        raise LabelError(
            f"{path}: holds PNG files and {found[0].name}; choose the masks with the format 'indexed_png', or give the "
            "path of the other file"
        )
    hint = f"; give the path of {' or '.join(each.name for each in found[:4])}" if found else ""
    raise LabelError(f"{path}: the folder holds no .png mask{hint}")


def _detect_json(path: Path) -> str:
    value = read_json(path)
    if isinstance(value, dict) and "data" not in value and {"images", "annotations"} & set(value):
        return "coco"
    tasks = value if isinstance(value, list) else [value]
    if tasks and all(isinstance(task, dict) for task in tasks):
        if all("data" in task for task in tasks):
            return "label_studio"
        if all("image_id" in task for task in tasks):
            return "coco"
    raise LabelError(
        f"{path}: is neither COCO (an object with images, annotations and categories) nor a Label Studio JSON export "
        "(a list of tasks with data)"
    )


def read_labels(
    path: Path,
    *,
    size: tuple[int, int],
    num_frames: int | None = None,
    pts_seconds: Sequence[float] | None = None,
    form: str | None = None,
    **options: Any,
) -> VideoLabels:
    """Reads labels of a video from any of the formats.

    Args:
        path: File or folder.
        size: Height and width of the video in pixels.
        num_frames: Frames of the video, to refuse labels past its end.
        pts_seconds: Presentation time of each frame of the video.
        form: Name in `LABEL_FORMATS`; None to detect it.
        **options: What the format's own reader takes beside, such as `keyframes_only`.

    Raises:
        LabelError: In one line, if the labels cannot be read or do not fit the video.
    """
    if not path.exists():
        raise LabelError(f"{path}: there is no such file or folder")
    chosen = _format(path, detect_format(path) if form is None else form)
    _check_options(path, chosen.read, options)
    return chosen.read(path, size=size, num_frames=num_frames, pts_seconds=pts_seconds, **options)


def write_labels(path: Path, labels: VideoLabels, form: str, **options: Any) -> None:
    """Writes labels in one of the formats.

    Args:
        path: File, or folder for index masks.
        labels: What to write.
        form: Name in `LABEL_FORMATS`.
        **options: What the format's own writer takes beside, such as `video`.

    Raises:
        LabelError: If the format cannot hold the labels; `labels.of_kinds` makes a part that it can.
    """
    chosen = _format(path, form)
    _check_options(path, chosen.write, options)
    chosen.write(path, labels, **options)


def _check_options(path: Path, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
    known = sorted(
        set(inspect.signature(function).parameters) - {"path", "labels", "size", "num_frames", "pts_seconds"}
    )
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise LabelError(f"{path}: {unknown[0]!r} is no option of this format; options are {known}")


def _format(path: Path, form: str) -> LabelFormat:
    if form not in LABEL_FORMATS:
        raise LabelError(f"{path}: {form!r} is no label format; formats are {sorted(LABEL_FORMATS)}")
    return LABEL_FORMATS[form]
