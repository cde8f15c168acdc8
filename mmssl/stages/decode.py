"""The decode stage: manifests -> a store of clips, and every row that gave none in `rejects.jsonl`."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from mmssl.config import Spec, build
from mmssl.data.clip_store import ClipStore, ClipStoreWriter
from mmssl.data.dataset import ClipItem
from mmssl.data.decode_task import DecodeTask, decode_task
from mmssl.data.manifest import ManifestRow, read_manifest
from mmssl.data.sound import ClipSize, PicturesAndSound, Sound
from mmssl.errors import ManifestError, StageError
from mmssl.files import atomic_file
from mmssl.media.clip import Clip
from mmssl.media.sampling import SAMPLER_CHOICE
from mmssl.media.video import Size
from mmssl.media.worker_pool import WorkerPool
from mmssl.progress import Progress
from mmssl.report.section import Reject
from mmssl.stages.clips import STORE, describe_clips
from mmssl.stages.context import Input, RunContext
from mmssl.stages.decode_section import write_decode_section, write_on_the_fly_section

REJECTS = "rejects.jsonl"
SHOWN_REJECTS = 3

ManifestFile = Annotated[Path, Input()]


def decode(
    out: Path,
    context: RunContext,
    *,
    manifest: ManifestFile | list[ManifestFile],
    num_frames: Annotated[int, Field(gt=0)] = 1,
    size: Annotated[int, Field(gt=0)] | tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]] | None = None,
    sound: Sound | None = None,
    sampler: Annotated[Spec | str, SAMPLER_CHOICE] = "uniform",
    time_limit_seconds: Annotated[float, Field(gt=0)] = 60.0,
    memory_limit_gib: Annotated[float, Field(gt=0)] = 4.0,
    max_reject_fraction: Annotated[float, Field(ge=0, le=1)] = 0.5,
    rows_per_shard: Annotated[int, Field(gt=0)] = 64,
    on_the_fly: bool = False,
) -> None:
    """Decodes clips from a manifest's rows to a store that is read at the speed of memory.

    Args:
        out: Gets `store/`, `rejects.jsonl` and the section of the report.
        context: Facts of the run.
        manifest: One manifest, or several; of several, ids and groups are prefixed with the manifest's name.
        num_frames: Frames of every clip, or its windows of sound; 1 for images.
        size: Side of the square, or height and width, that frames are resized to cover and then cropped to.
        sound: Windows of sound to decode in place of pictures, from audio files and from the sound tracks of videos; together
            with `size`, each clip's pictures and the window of sound that begins with its first frame.
        sampler: Which frames of a row make clips.
        time_limit_seconds: A row that takes longer is rejected.
        memory_limit_gib: A row that takes more is rejected.
        max_reject_fraction: The stage fails where more than this part of the rows is rejected.
        rows_per_shard: Rows whose clips share a file; the unit that an interrupted run goes on with.
        on_the_fly: Store nothing: the stages below decode each clip when they need it, one a row, and training samples
            anew in every epoch. Saves the disk and costs time; a file that fails then stops the stage that needs it.

    Raises:
        ManifestError: If a manifest cannot be read or ids stand twice.
        StageError: If too many rows are rejected, neither `size` nor `sound` is given, or both and `on_the_fly`.
    """
    form = _form((size, size) if isinstance(size, int) else size, sound)
    tasks = read_tasks([manifest] if isinstance(manifest, Path) else manifest)
    shards = [tasks[start : start + rows_per_shard] for start in range(0, len(tasks), rows_per_shard)]
    memory_limit_bytes = int(memory_limit_gib * 2**30)
    if on_the_fly:
        if isinstance(form, PicturesAndSound):
            raise StageError("pictures with their sound have to be stored; leave on_the_fly out")
        describe_clips(
            out,
            tasks,
            sampler=sampler,
            num_frames=num_frames,
            size=form,
            seed=context.seed,
            time_limit_seconds=time_limit_seconds,
            memory_limit_bytes=memory_limit_bytes,
        )
        known = [_rejected_before(task.row) for task in tasks if task.row.status != "ok"]
        _write_rejects(out / REJECTS, known)
        write_on_the_fly_section(out, [task.row for task in tasks], known)
        return
    store = out / STORE
    writer = ClipStoreWriter(store, num_frames=num_frames, size=form)
    function = partial(
        decode_task,
        sampler=build(sampler, SAMPLER_CHOICE, num_frames=num_frames),
        num_frames=num_frames,
        size=form,
        seed=context.seed,
    )
    pool = WorkerPool[DecodeTask, list[Clip]](
        function,
        workers=context.workers,
        time_limit_seconds=time_limit_seconds,
        memory_limit_bytes=memory_limit_bytes,
    )
    missing = [number for number in range(len(shards)) if not writer.is_done(number)]
    with pool, Progress("decode", len(tasks), unit="rows") as progress:
        progress.done = len(tasks) - sum(len(shards[number]) for number in missing)
        outcomes = pool.map(task for number in missing for task in shards[number] if task.row.status == "ok")
        for number in missing:
            clips: list[tuple[ClipItem, Clip]] = []
            rejects: list[Reject] = []
            for task in shards[number]:
                if task.row.status != "ok":
                    rejects.append(_rejected_before(task.row))
                    continue
                outcome = next(outcomes)
                if outcome.value is not None:
                    clips += clip_items(task.row, outcome.value)
                else:
                    rejects.append(Reject(task.row.id, outcome.error_type or "", outcome.error_message or ""))
                progress.advance()
            _write_rejects(_part(out, number), rejects)
            writer.write_shard(number, clips)
    if not (out / REJECTS).exists():
        _write_rejects(
            out / REJECTS, [reject for number in range(len(shards)) for reject in read_rejects(_part(out, number))]
        )
    for number in range(len(shards)):
        _part(out, number).unlink(missing_ok=True)
    writer.finish(len(shards))
    rejects = read_rejects(out / REJECTS)
    clips_made = ClipStore(store)
    if len(rejects) > max_reject_fraction * len(tasks) or not len(clips_made):
        raise StageError(_too_many(out / REJECTS, rejects, len(tasks), max_reject_fraction))
    write_decode_section(out, clips_made, [task.row for task in tasks], rejects)


def _form(size: Size | None, sound: Sound | None) -> ClipSize:
    if size is not None and sound is not None:
        return PicturesAndSound(size, sound)
    if size is not None:
        return size
    if sound is not None:
        return sound
    raise StageError("give size, to decode pictures, or sound, to decode sound, or both for pictures with their sound")


def read_tasks(manifests: Sequence[Path]) -> list[DecodeTask]:
    """The rows of some manifests by id; ids and groups carry the manifest's name where there are several.

    Raises:
        ManifestError: If a manifest cannot be read, two have one name, or ids stand twice.
    """
    found: list[tuple[Path, ManifestRow]] = []
    names: dict[str, Path] = {}
    for path in manifests:
        manifest = read_manifest(path)
        if manifest.name in names:
            raise ManifestError(
                f"{path} and {names[manifest.name]} are both named {manifest.name!r}; give one another file name"
            )
        names[manifest.name] = path
        for row in manifest.rows:
            renamed = row if len(manifests) == 1 else _prefixed(row, manifest.name)
            found.append((manifest.resolve(row), renamed))
    twice = [row_id for row_id, count in Counter(row.id for _, row in found).items() if count > 1]
    if twice:
        raise ManifestError(
            f"{', '.join(map(str, manifests))}: {len(twice)} ids stand more than once, first {twice[0]!r}; "
            "`mmssl manifest check` lists them"
        )
    found.sort(key=lambda entry: entry[1].id)
    return [DecodeTask(path, row, item) for item, (path, row) in enumerate(found)]


def _prefixed(row: ManifestRow, name: str) -> ManifestRow:
    return replace(row, id=f"{name}/{row.id}", group=f"{name}/{row.group}" if row.group is not None else None)


def clip_items(row: ManifestRow, clips: Sequence[Clip]) -> Iterator[tuple[ClipItem, Clip]]:
    """The clips of a row with what is known of each."""
    for number, clip in enumerate(clips):
        item = ClipItem(
            id=f"{row.id}#{number}",
            row_id=row.id,
            label=row.label,
            split=row.split,
            group=row.group or row.id,
            caption=row.caption,
            pts_seconds=tuple(clip.pts_seconds.tolist()),
        )
        yield item, clip


def read_rejects(path: Path) -> list[Reject]:
    """The rows that gave no clip, and why."""
    return [Reject(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def _write_rejects(path: Path, rejects: Sequence[Reject]) -> None:
    with atomic_file(path) as partial_path:
        lines: list[dict[str, Any]] = [asdict(reject) for reject in rejects]
        partial_path.write_text(
            "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8"
        )


def _rejected_before(row: ManifestRow) -> Reject:
    return Reject(row.id, row.error_type or "Rejected", row.error_message or "the manifest says that it is rejected")


def _part(out: Path, number: int) -> Path:
    return out / f"rejects-{number:05}.jsonl"


def _too_many(path: Path, rejects: Sequence[Reject], num_rows: int, allowed: float) -> str:
    shown = "; ".join(f"{reject.id}: {reject.message}" for reject in rejects[:SHOWN_REJECTS])
    return (
        f"{len(rejects)} of {num_rows} rows gave no clip, more than max_reject_fraction {allowed:g} allows, or all of them; "
        f"first: {shown}; all are in {path}"
    )
