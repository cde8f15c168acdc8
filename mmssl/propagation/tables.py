"""Tables of results: a line a frame, a line an object and frame, and the frames that a person should look at again."""

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmssl.files import atomic_file
from mmssl.propagation.rows import FrameRow
from mmssl.propagation.video_labels import LabelObject

REVIEWED_ONE_IN = 10
"""A review lists one of so many propagated objects and frames; each stands for as many frames of its object around it."""

AFTER_CUT = "first frame after a scene cut: labels stop here; label it to go on"
LOST = "lost from here on"


@contextmanager
def _table(path: Path, columns: Sequence[str]) -> Iterator[Any]:
    with atomic_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        yield writer


def write_frames(path: Path, pts_seconds: Sequence[float], areas: Mapping[int, Sequence[int]]) -> None:
    """One line a frame: index, exact presentation time, area of each object in pixels (for points: how many are seen)."""
    with _table(path, ["frame", "pts_seconds", *(f"area_{key}" for key in areas)]) as table:
        for frame, time in enumerate(pts_seconds):
            table.writerow([frame, time, *(area[frame] for area in areas.values())])


def write_objects(
    path: Path, rows: Iterable[tuple[int, FrameRow]], objects: Sequence[LabelObject], pts_seconds: Sequence[float]
) -> None:
    """One line an object and frame: exact presentation time, area, confidence, whether it is lost, and where it is from.

    The confidence is empty for an object that is absent; `status` is as in `ObjectRow`.
    """
    columns = ["frame", "time_seconds", "object", "name", "area", "confidence", "lost", "status"]
    with _table(path, columns) as table:
        for frame, row in rows:
            for each in objects:
                of = row[each.id]
                confidence = "" if of.confidence is None else of.confidence
                is_lost = int(of.status == "lost")
                table.writerow([frame, pts_seconds[frame], each.id, each.name, of.area, confidence, is_lost, of.status])


def write_review(
    path: Path,
    rows: Iterable[tuple[int, FrameRow]],
    objects: Sequence[LabelObject],
    pts_seconds: Sequence[float],
    cuts: Sequence[int],
) -> None:
    """What to look at again, the most doubtful first.

    First come the frames after scene cuts that no label covers, then the frames on which an object is lost, each with the
    first frame of its absence only, then propagated objects and frames by rising confidence, a tenth of all. Near a frame
    that is listed, the same object is not listed again: a correction there mends its neighbors as well.
    """
    names = {each.id: each.name for each in objects}
    lost_before: set[int] = set()
    cut_off, lost, doubtful = [], [], []
    for frame, row in rows:
        lost_now = {key for key, each in row.items() if each.status == "lost"}
        if frame in cuts and not any(each.status == "labeled" for each in row.values()):
            cut_off.append((frame, None, "", AFTER_CUT))
        else:
            lost += [(frame, key, 0.0, LOST) for key in sorted(lost_now - lost_before)]
        lost_before = lost_now
        doubtful += [
            (each.confidence, frame, key, each.reason)
            for key, each in row.items()
            if each.status == "seen" and each.confidence is not None
        ]
    kept = spread_out(doubtful, -(-len(doubtful) // REVIEWED_ONE_IN))
    with _table(path, ["frame", "time_seconds", "object", "name", "confidence", "reason"]) as table:
        for frame, key, confidence, reason in [*cut_off, *lost, *((f, k, c, r) for c, f, k, r in kept)]:
            shown = ("", "") if key is None else (key, names[key])
            table.writerow([frame, pts_seconds[frame], *shown, confidence, reason])


def spread_out(
    doubtful: Iterable[tuple[float, int, int, str]], count: int, *, apart: int = REVIEWED_ONE_IN // 2
) -> list[tuple[float, int, int, str]]:
    """The lowest confidences, at most `count`, of an object none nearer than `apart` frames to one that is lower.

    Args:
        doubtful: Confidence, frame, object and reason.
        count: How many to keep.
        apart: Frames.
    """
    kept: list[tuple[float, int, int, str]] = []
    frames: defaultdict[int, list[int]] = defaultdict(list)
    for item in sorted(doubtful):
        if len(kept) == count:
            break
        _, frame, key, _ = item
        if all(abs(frame - other) >= apart for other in frames[key]):
            kept.append(item)
            frames[key].append(frame)
    return kept
