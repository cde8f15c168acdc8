"""Turns the labels of one frame into its files and its row."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mmssl.propagation.channels import Channels
from mmssl.propagation.files import mask_file, soft_mask_file, write_mask, write_soft_mask
from mmssl.propagation.rows import ObjectRow, to_line
from mmssl.propagation.segments import Group, Segment
from mmssl.propagation.video_labels import FrameLabels

NO_LABEL = "no label since a scene cut"


@dataclass(frozen=True)
class Carried:
    """Labels of a frame with the confidence of each channel, and how far boxes lie from regions; see `Channels.margins`."""

    index: int
    labels: Float[Tensor, "channels h w"]
    confidences: Float[Tensor, " channels"] | None
    reason: Callable[[int], str]
    margins: Mapping[int, Float[np.ndarray, " 4"]] = field(default_factory=dict)


class FrameWriter:
    """Writes masks, soft masks and rows of the objects of a group.

    Args:
        channels: Of the group's objects.
        group: The objects and their labels.
        out: Output folder.
        soft_masks: Whether to write soft masks of masks and boxes.
    """

    def __init__(self, channels: Channels, group: Group, out: Path, *, soft_masks: bool) -> None:
        self._channels, self._group, self._out, self._soft_masks = channels, group, out, soft_masks
        self._mask_type = torch.uint8 if max(channels.mask_ids, default=0) <= 255 else torch.int32

    def propagated(self, carried: Carried, segment: Segment, rows: TextIO) -> None:
        """Masks and row of a propagated frame."""
        areas: Counter[int] = Counter()
        if self._channels.num_regions:
            mask = self._channels.mask(carried.labels)
            write_mask(mask_file(self._out, carried.index), mask)
            areas.update(dict(zip(*(each.tolist() for each in torch.unique(mask, return_counts=True)), strict=True)))
        shown = self._group.present(segment.before) | self._group.present(segment.after)
        row = {}
        for each in self._group.objects:
            if each.id in shown:
                row[each.id] = self._object_row(each.id, each.kind, carried, areas[each.id])
            else:
                row[each.id] = ObjectRow("absent")
            if self._soft_masks and each.kind in ("mask", "box"):
                soft = self._channels.soft_mask(carried.labels, each.id)
                write_soft_mask(soft_mask_file(self._out, each.id, carried.index), soft)
        rows.write(to_line(carried.index, row) + "\n")

    def _object_row(self, key: int, kind: str, carried: Carried, area: int) -> ObjectRow:
        place = self._channels.of_object[key]
        trust = None if carried.confidences is None else carried.confidences[place].double()
        box: tuple[float, ...] | None = None
        points: tuple[tuple[float, ...] | None, ...] = ()
        if kind == "box":
            edges = self._channels.box(carried.labels, key, carried.margins.get(key))
            if edges is not None:
                box = tuple(round(edge, 4) for edge in edges.tolist())
                area = round((box[2] - box[0]) * (box[3] - box[1]))
        elif kind != "mask":
            found, peaks = self._channels.points(carried.labels, key)
            values = peaks if trust is None else trust.numpy()
            points = tuple(
                None if np.isnan(x) else (round(x, 4), round(y, 4), round(value, 4))
                for (x, y), value in zip(found.tolist(), values.tolist(), strict=True)
            )
            area = sum(point is not None for point in points)
        if area == 0 and box is None:
            return ObjectRow("lost", confidence=None if trust is None else 0.0, reason="lost")
        seen = [place.start + offset for offset in range(place.stop - place.start) if not points or points[offset]]
        if trust is None:
            return ObjectRow("seen", area, box=box, points=points)
        trusts = trust[[channel - place.start for channel in seen]]
        worst = seen[int(trusts.argmin())]
        return ObjectRow("seen", area, round(float(trusts.mean()), 4), carried.reason(worst), box, points)

    def labeled(self, index: int, rows: TextIO) -> None:
        """Masks and row of a frame that a person labeled: the labels as they are."""
        given = self._group.frames[index]
        if self._channels.num_regions:
            assert given.mask is not None
            mask = torch.from_numpy(given.mask.astype(np.int32)).to(self._mask_type)
            write_mask(mask_file(self._out, index), mask)
        if self._soft_masks:
            self._labeled_soft(index, given)
        rows.write(to_line(index, {each.id: labeled_row(given, each.id) for each in self._group.objects}) + "\n")

    def _labeled_soft(self, index: int, given: FrameLabels) -> None:
        for each in self._group.objects:
            soft = torch.zeros(self._channels.size)
            if each.kind == "mask" and given.mask is not None:
                soft = torch.from_numpy((given.mask == each.id).astype(np.float32))
            elif each.id in given.boxes:
                left, top, right, bottom = (round(float(edge)) for edge in given.boxes[each.id])
                soft[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = 1
            elif each.kind != "box":
                continue
            write_soft_mask(soft_mask_file(self._out, each.id, index), soft)

    def nothing(self, index: int, segment: Segment, rows: TextIO) -> None:
        """Masks and row of a frame that no label reaches."""
        if self._channels.num_regions:
            write_mask(mask_file(self._out, index), torch.zeros(self._channels.size, dtype=self._mask_type))
        for each in self._group.objects:
            if self._soft_masks and each.kind in ("mask", "box"):
                write_soft_mask(soft_mask_file(self._out, each.id, index), torch.zeros(self._channels.size))
        is_cut_off = segment.before is None and segment.after is None
        nothing = ObjectRow("lost", confidence=0.0, reason=NO_LABEL) if is_cut_off else ObjectRow("absent")
        rows.write(to_line(index, {each.id: nothing for each in self._group.objects}) + "\n")


def labeled_row(given: FrameLabels, key: int) -> ObjectRow:
    """The row of an object on a labeled frame."""
    if key not in given.seen():
        return ObjectRow("absent", confidence=1.0)
    if key in given.boxes:
        box = tuple(float(edge) for edge in given.boxes[key])
        return ObjectRow("labeled", round((box[2] - box[0]) * (box[3] - box[1])), 1.0, box=box)
    if key in given.keypoints:
        points = tuple(None if np.isnan(x) else (float(x), float(y), 1.0) for x, y in given.keypoints[key].tolist())
        return ObjectRow("labeled", sum(point is not None for point in points), 1.0, points=points)
    assert given.mask is not None
    return ObjectRow("labeled", int((given.mask == key).sum()), 1.0)
