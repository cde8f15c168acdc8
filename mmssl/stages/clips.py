"""The clips that a stage reads: those of a decode stage, all or some of them."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from mmssl.config import Spec, build
from mmssl.data.clip_store import ClipStore
from mmssl.data.dataset import ClipSource, SubsetClips
from mmssl.data.decode_task import DecodeTask
from mmssl.data.decoded_clips import DecodedClips
from mmssl.data.manifest import Manifest, read_manifest, write_manifest
from mmssl.data.sound import Sound
from mmssl.errors import StageError
from mmssl.files import atomic_file
from mmssl.media.sampling import SAMPLER_CHOICE
from mmssl.media.video import Size
from mmssl.stages.record import read_record

STORE = "store"
ON_THE_FLY = "on_the_fly.json"
ROWS = "rows.jsonl"
SHOWN_GROUPS = 5


def open_clips(folder: Path, *, workers: int = 0) -> ClipStore | DecodedClips:
    """The clips of a decode stage's folder, or of a clip store's own.

    Args:
        folder: Of the stage or the store.
        workers: Processes that decode, where the stage stored nothing.

    Raises:
        ClipStoreError: If the folder holds none.
    """
    if not (folder / ON_THE_FLY).is_file():
        return ClipStore(folder / STORE if (folder / STORE).is_dir() else folder)
    facts = json.loads((folder / ON_THE_FLY).read_text(encoding="utf-8"))
    size = facts["size"]
    return DecodedClips(
        read_manifest(folder / ROWS),
        num_frames=facts["num_frames"],
        size=Sound(**size) if isinstance(size, dict) else (size[0], size[1]),
        sampler=build(facts["sampler"], SAMPLER_CHOICE, num_frames=facts["num_frames"]),
        seed=facts["seed"],
        workers=workers,
        time_limit_seconds=facts["time_limit_seconds"],
        memory_limit_bytes=facts["memory_limit_bytes"],
    )


@contextmanager
def opened_clips(folder: Path, *, workers: int) -> Iterator[ClipSource]:
    """`open_clips` for a block, after which no worker is left."""
    clips = open_clips(folder, workers=workers)
    try:
        yield clips
    finally:
        if isinstance(clips, DecodedClips):
            clips.close()


def describe_clips(
    folder: Path,
    tasks: Sequence[DecodeTask],
    *,
    sampler: Spec | str,
    num_frames: int,
    size: Size | Sound,
    seed: int,
    time_limit_seconds: float,
    memory_limit_bytes: int,
) -> None:
    """Writes down which clips `open_clips` is to decode when they are asked for."""
    write_manifest(folder / ROWS, [replace(task.row, uri=str(task.path.resolve())) for task in tasks])
    facts = {
        "sampler": sampler,
        "num_frames": num_frames,
        "size": asdict(size) if isinstance(size, Sound) else size,
        "seed": seed,
        "time_limit_seconds": time_limit_seconds,
        "memory_limit_bytes": memory_limit_bytes,
    }
    with atomic_file(folder / ON_THE_FLY) as partial:
        partial.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def dataset_name(folder: Path) -> str:
    """How results name the clips of a decode stage: by its manifests."""
    manifests = read_record(folder).get("settings", {}).get("manifest", [])
    names = [Manifest(Path(file), ()).name for file in ([manifests] if isinstance(manifests, str) else manifests)]
    return " + ".join(names) or folder.name


def of_splits(source: ClipSource, splits: Sequence[str] | None, *, without_groups: Sequence[str] = ()) -> ClipSource:
    """The clips of some splits; without any named, those of `train` and of no split.

    Args:
        source: All clips.
        splits: Those wanted.
        without_groups: Groups whose clips are left out.

    Raises:
        StageError: If that leaves none, or there is no clip of a group to leave out.
    """
    wanted, unwanted = {"train", None} if splits is None else set(splits), set(without_groups)
    missing = sorted(unwanted - {item.group for item in source.items})
    if missing:
        raise StageError(
            f"no clip is of the group {missing[0]!r} to leave out; groups are such as "
            f"{sorted({item.group for item in source.items})[:SHOWN_GROUPS]}"
        )
    positions = [
        place for place, item in enumerate(source.items) if item.split in wanted and item.group not in unwanted
    ]
    if not positions:
        known = sorted({item.split or "none" for item in source.items})
        raise StageError(
            f"no clip is of a split among {splits or ['train', 'none']}; the clips' splits are {known}; set splits"
        )
    return source if len(positions) == len(source) else SubsetClips(source, positions)
