"""Run folders: one run at a time in each, and a stage's output there whole or not at all."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmssl.errors import StageError
from mmssl.files import sync

LEFTOVERS = (".*.partial", ".*.retired")
"""Temporary files and folders that a killed process may have left."""


@contextmanager
def run_lock(out: Path) -> Iterator[None]:
    """Holds a run folder for this process; the lock goes with the process, however it ends.

    Raises:
        StageError: If another process holds it, or the folder cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        file = (out / ".lock").open("a+", encoding="utf-8")
    except OSError as error:
        raise StageError(f"{out}: cannot be used as a run folder: {error}; give another with --out") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise StageError(
                f"{out}: another run is at work there (process {holder}); wait for it or give another folder with --out"
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def partial_folder(out: Path, name: str) -> Path:
    """Where a stage's output grows until it is whole; what a killed run finished stays there."""
    return out / f".{name}.partial"


def publish(partial: Path, final: Path) -> None:
    """Puts a finished folder in place: no temporary file left in it, every file on the disk, then one rename."""
    for pattern in LEFTOVERS:
        for file in list(partial.rglob(pattern)):
            remove(file)
    for file in (*partial.rglob("*"), partial):
        sync(file)
    old = final.with_name(f".{final.name}.old")
    remove(old)
    if final.exists():
        final.replace(old)
    partial.replace(final)
    sync(final.parent)
    remove(old)


def remove(path: Path) -> None:
    """Removes a file or a folder with all it holds; nothing happens where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
