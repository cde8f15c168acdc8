"""Results in the formats of annotation tools, read from the output folder frame by frame.

Masks are read again from their PNG files: segments end out of the order of frames, and no more than a few frames are ever in
memory, so that these files are the only whole copy.
"""

import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mmssl.errors import ConfigError, LabelError
from mmssl.propagation.exchange import LABEL_FORMATS, write_labels
from mmssl.propagation.files import mask_file, read_mask_file
from mmssl.propagation.rows import ObjectRow, from_line
from mmssl.propagation.video_labels import KINDS, FrameLabels, Kind, LabelObject, LabelWarning, VideoLabels

EXPORTS = tuple(name for name in LABEL_FORMATS if name != "indexed_png")
"""Formats to choose from; index masks are written anyway."""

_POINTS: tuple[Kind, ...] = ("keypoints", "point")
_HELD: Mapping[str, tuple[Kind, ...]] = {"deeplabcut": _POINTS, "sleap": _POINTS, "points_csv": _POINTS}


def export_file(out: Path, form: str) -> Path:
    """Where an export lies in an output folder."""
    return out / f"labels.{form}{LABEL_FORMATS[form].suffix}"


def check_exports(labels: VideoLabels, forms: Sequence[str]) -> None:
    """Makes sure, before any work, that results will fit into formats, by writing the given labels in them.

    Raises:
        ConfigError: If there is no such format.
        LabelError: If a format cannot hold any of the objects, or a package that it needs is missing.
    """
    for form in forms:
        if form not in EXPORTS:
            raise ConfigError(f"{form!r} is no format to save as; formats are {list(EXPORTS)}")
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", LabelWarning)
        for form in forms:
            export(Path(folder), labels, form)


def export(out: Path, labels: VideoLabels, form: str) -> Path:
    """Writes the objects that a format can hold; announces the others by a `LabelWarning`.

    Raises:
        LabelError: If it can hold none of them.
    """
    held = _HELD.get(form, KINDS)
    left_out = sorted({each.kind for each in labels.objects} - set(held))
    if left_out and not any(each.kind in held for each in labels.objects):
        raise LabelError(f"{form} holds {' and '.join(held)}, but the labels are of the kind {left_out[0]!r}")
    if left_out:
        warnings.warn(f"{form}: holds no {' or '.join(left_out)}; they are left out", LabelWarning, stacklevel=2)
        labels = labels.of_kinds(held)
    path = export_file(out, form)
    write_labels(path, labels, form)
    return path


class ResultFrames(Mapping[int, FrameLabels]):
    """Labels of each frame of results, made when asked for, so that a long video fits into memory.

    Args:
        out: The output folder, for masks.
        lines: A line of each group of objects, for each frame.
        objects: All objects.
        pts_seconds: Presentation time of each frame.
    """

    def __init__(
        self,
        out: Path,
        lines: Sequence[tuple[str, ...]],
        objects: Sequence[LabelObject],
        pts_seconds: Sequence[float],
    ) -> None:
        self._out, self._lines, self._pts_seconds = out, lines, pts_seconds
        self._mask_ids = sorted(each.id for each in objects if each.kind == "mask")

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self._lines)))

    def __getitem__(self, frame: int) -> FrameLabels:
        if not 0 <= frame < len(self._lines):
            raise KeyError(frame)
        row = {key: each for line in self._lines[frame] for key, each in from_line(line)[1].items()}
        labels = frame_labels(row)
        mask = None
        if self._mask_ids:
            mask = read_mask_file(mask_file(self._out, frame)).numpy().astype(np.uint16)
            mask[~np.isin(mask, self._mask_ids)] = 0
            mask = mask.astype(np.uint8) if self._mask_ids[-1] <= 255 else mask
        return replace(labels, mask=mask, pts_seconds=self._pts_seconds[frame])


def frame_labels(row: Mapping[int, ObjectRow]) -> FrameLabels:
    """A row as labels, without its mask."""
    points = {key: each.points for key, each in row.items() if each.points}
    absent = (np.nan, np.nan, np.nan)
    arrays = {key: np.array([absent if point is None else point for point in values]) for key, values in points.items()}
    return FrameLabels(
        boxes={key: np.array(each.box) for key, each in row.items() if each.box is not None},
        keypoints={key: values[:, :2] for key, values in arrays.items()},
        keypoint_confidences={key: values[:, 2] for key, values in arrays.items()},
        confidences={
            key: each.confidence
            for key, each in row.items()
            if each.status in ("labeled", "seen") and each.confidence is not None
        },
        lost=frozenset(key for key, each in row.items() if each.status == "lost"),
    )
