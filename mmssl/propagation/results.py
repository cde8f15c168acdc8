"""What is written when all frames are done: tables, pictures, exports, and the facts of the summary."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from mmssl.media.video import VideoFile
from mmssl.propagation.carrying import Carrier
from mmssl.propagation.exporting import EXPORTS, ResultFrames, export, export_file
from mmssl.propagation.files import mask_file, write_mask
from mmssl.propagation.pictures import write_pictures
from mmssl.propagation.rows import FrameRow, ObjectRow, from_line
from mmssl.propagation.tables import write_frames, write_objects, write_review
from mmssl.propagation.video_labels import LabelObject, VideoLabels

FILES = ("summary.json", "frames.csv", "objects.csv", "review.csv", "overlay.mp4", "contact_sheet.png")
"""Files that finished work leaves in its output folder beside masks and exports."""


def clear(out: Path, segments: set[Path], num_frames: int) -> None:
    """Removes what other work left in an output folder, so that nothing of it stays among the new results.

    Args:
        out: The folder.
        segments: Files of segments that belong to the new work.
        num_frames: Masks of frames from here on go, too.
    """
    stale = [file for file in out.glob("segments/*.jsonl") if file not in segments]
    stale += [file for file in out.glob("masks/[0-9]*.png") if not _is_frame(file, num_frames)]
    stale += [file for file in out.glob("soft_masks/*/[0-9]*.png") if not _is_frame(file, num_frames)]
    stale += [out / name for name in FILES] + [export_file(out, form) for form in EXPORTS]
    for file in stale:
        file.unlink(missing_ok=True)


def _is_frame(file: Path, num_frames: int) -> bool:
    return file.stem.isdecimal() and int(file.stem) < num_frames


class Results:
    """Reads the rows of all groups of objects, frame by frame, and writes what is made of them.

    Args:
        out: Output folder.
        source: The video.
        carriers: Of all groups; their segments must be done.
        objects: Of all groups, by rising id.
        cuts: First frame of each shot but the first one.
    """

    def __init__(
        self,
        out: Path,
        source: VideoFile,
        carriers: Sequence[Carrier],
        objects: tuple[LabelObject, ...],
        cuts: Sequence[int],
    ) -> None:
        self._out, self._source, self._carriers = out, source, carriers
        self._objects, self._cuts = objects, cuts
        self._areas: dict[int, list[int]] = {each.id: [] for each in objects}
        self._lost: dict[int, int] = {each.id: 0 for each in objects}

    def write(self, save_as: Sequence[str], *, overlay: bool, plain: bool) -> None:
        """Writes everything but the summary.

        Args:
            save_as: Names of formats.
            overlay: Whether to write pictures.
            plain: Whether there is no confidence, so that tables of it make no sense.
        """
        times: list[float] = self._source.pts_seconds.tolist()
        for index, row in self._rows():
            for key, each in row.items():
                self._areas[key].append(each.area)
                self._lost[key] += each.status == "lost"
            self._write_boxes(index, row)
        write_frames(self._out / "frames.csv", times, self._areas)
        if not plain:
            write_objects(self._out / "objects.csv", self._rows(), self._objects, times)
            write_review(self._out / "review.csv", self._rows(), self._objects, times, self._cuts)
        if overlay:
            write_pictures(self._out, self._source, self._rows(), self._objects)
        if save_as:
            lines = list(zip(*(carrier.lines() for carrier in self._carriers), strict=True))
            frames = ResultFrames(self._out, lines, self._objects, times)
            labels = VideoLabels(self._source.size, self._source.num_frames, self._objects, frames)
            for form in save_as:
                export(self._out, labels, form)

    def facts(self) -> list[dict[str, Any]]:
        """What the summary says of each object."""
        return [
            {
                "index": each.id,
                "name": each.name,
                "kind": each.kind,
                "area_first_frame": areas[0],
                "area_mean": sum(areas) / len(areas),
                "frames_present": sum(area > 0 for area in areas),
                "frames_lost": self._lost[each.id],
                "areas": areas,
            }
            for each, areas in ((each, self._areas[each.id]) for each in self._objects)
        ]

    def _rows(self) -> Iterator[tuple[int, FrameRow]]:
        """Each frame with the rows of its objects."""
        for lines in zip(*(carrier.lines() for carrier in self._carriers), strict=True):
            row: dict[int, ObjectRow] = {}
            index = 0
            for line in lines:
                index, part = from_line(line)
                row |= part
            yield index, row

    def _write_boxes(self, index: int, row: FrameRow) -> None:
        """A mask of filled boxes, where there are boxes and no masks; the more confident box covers others."""
        if {"mask", "box"} & {each.kind for each in self._objects} != {"box"}:
            return
        wide = max(each.id for each in self._objects) > 255
        mask = torch.zeros(self._source.size, dtype=torch.int32 if wide else torch.uint8)
        boxes = [(each.confidence or 0.0, key, each.box) for key, each in row.items() if each.box is not None]
        for _, key, box in sorted(boxes):
            left, top, right, bottom = (max(0, round(edge)) for edge in box)
            mask[top:bottom, left:right] = key
        write_mask(mask_file(self._out, index), mask)
