"""Whether the times in a row make sense."""

import math
from collections.abc import Iterator

from mmssl.data.manifest_row import ManifestRow

_TOLERANCE_SECONDS = 0.001


def tolerance_seconds(fps: int | float | None) -> float:
    """Times that differ by less are the same: a frame, or a millisecond where there are none."""
    return _TOLERANCE_SECONDS + (1.0 / fps if fps else 0.0)


def time_faults(row: ManifestRow) -> Iterator[str]:
    """What is wrong with a row's segment, one sentence each."""
    times = {"start": row.start, "end": row.end}
    wrong = {name: time for name, time in times.items() if time is not None and not (0 <= time < math.inf)}
    for name, time in wrong.items():
        yield f"{name}: {time} is not a time; expected seconds from 0, or nothing"
    if wrong:
        return
    if row.start is not None and row.end is not None and row.start >= row.end:
        yield f"start: {row.start} s is not before end, {row.end} s"
    if row.duration_seconds is not None:
        yield from late_times(row, row.duration_seconds, row.fps)


def late_times(row: ManifestRow, duration_seconds: int | float, fps: int | float | None) -> Iterator[str]:
    """Times past the end of the file; the end may be late by a frame, as containers round up."""
    if row.start is not None and row.start >= duration_seconds > 0:
        yield f"start: {row.start} s is past the end of the file, {duration_seconds} s"
    if row.end is not None and row.end > duration_seconds + tolerance_seconds(fps):
        yield f"end: {row.end} s is past the end of the file, {duration_seconds} s"
