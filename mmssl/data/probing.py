"""Opens media files in worker processes and notes what they hold, or why they cannot be used."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from mmssl.data.manifest import ManifestRow
from mmssl.data.row_times import late_times, tolerance_seconds
from mmssl.media.probe import Probe, probe
from mmssl.media.worker_pool import Outcome, WorkerPool
from mmssl.progress import Progress

PROBE_SECONDS = 60.0
"""A file that takes longer to probe is rejected, where nothing else is asked for."""

PROBE_MEMORY_BYTES = 2 * 2**30
"""A file that takes more memory to probe is rejected, where nothing else is asked for."""


def probe_files(
    paths: Sequence[Path],
    *,
    workers: int,
    time_limit_seconds: int | float = PROBE_SECONDS,
    memory_limit_bytes: int = PROBE_MEMORY_BYTES,
) -> Iterator[Outcome[Probe]]:
    """What became of probing each file, in the order of the paths, with a progress bar."""
    pool: WorkerPool[Path, Probe] = WorkerPool(
        probe,
        workers=max(1, min(workers, len(paths))),
        time_limit_seconds=time_limit_seconds,
        memory_limit_bytes=memory_limit_bytes,
    )
    with pool, Progress("probe", len(paths), unit="files") as progress:
        for outcome in pool.map(paths):
            progress.advance()
            yield outcome


def probed_row(row: ManifestRow, outcome: Outcome[Probe]) -> ManifestRow:
    """The row with what probing found, or rejected with the reason."""
    found = outcome.value
    if found is None:
        return replace(row, status="rejected", error_type=outcome.error_type, error_message=outcome.error_message)
    return replace(
        row,
        **vars(found),
        status="ok",
        error_type=None,
        error_message=None,
    )


def differences(row: ManifestRow, found: Probe) -> Iterator[str]:
    """Where a file is not what its row says, one sentence each."""
    if row.media_type != found.media_type:
        yield f"media_type: is {row.media_type!r}, but the file is {found.media_type!r}"
    for name in ("num_frames", "num_missing_frames", "width", "height", "sample_rate", "num_channels"):
        said, has = getattr(row, name), getattr(found, name)
        if said is not None and has is not None and said != has:
            yield f"{name}: is {said}, but the file has {has}"
    if found.duration_seconds is None:
        return
    if row.duration_seconds is None:
        yield from late_times(row, found.duration_seconds, found.fps)
    elif abs(row.duration_seconds - found.duration_seconds) > tolerance_seconds(found.fps):
        yield f"duration_seconds: is {row.duration_seconds}, but the file lasts {found.duration_seconds} s"
