"""Clips decoded from a manifest's files at the moment they are asked for, sampled anew in each epoch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any

import torch

from mmssl.config import digest
from mmssl.data.dataset import ClipItem, Clips, check_positions
from mmssl.data.decoding import decode_row
from mmssl.data.manifest import Manifest, row_to_json
from mmssl.data.sound import Sound, frame_dtype, frame_shape
from mmssl.errors import DecodeError
from mmssl.functional.random import ItemRandom
from mmssl.media.clip import Clip
from mmssl.media.sampling import Sampler
from mmssl.media.video import Size
from mmssl.media.worker_pool import WorkerPool


@dataclass(frozen=True)
class _Request:
    index: int
    epoch: int


class DecodedClips:
    """One clip a row of a manifest; a `ClipSource` without a store.

    Rows whose status is not `ok` are left out from the start. A row that fails later stops the training: it is neither
    skipped nor replaced. Decoding the clips to a store first finds such rows, and is much faster from the second epoch on.

    Args:
        manifest: Rows of videos or sound, or of images with a `num_frames` of 1.
        num_frames: Frames of every clip.
        size: Height and width of the clips' pictures, or windows of sound, see `decode_row`.
        sampler: See `mmssl.media.sampling`; where it gives several clips of a row, one of them is drawn.
        seed: Of the run.
        workers: Processes that decode; 0 to decode in this one, without limits of time and memory.
        time_limit_seconds: Longest that one clip may take in a worker.
        memory_limit_bytes: Most memory that one clip may take in a worker.

    Raises:
        DecodeError: If no row is left.
    """

    def __init__(
        self,
        manifest: Manifest,
        *,
        num_frames: int,
        size: Size | Sound,
        sampler: Sampler,
        seed: int,
        workers: int = 0,
        time_limit_seconds: int | float = 60.0,
        memory_limit_bytes: int = 4 << 30,
    ) -> None:
        rows = [row for row in manifest.rows if row.status == "ok"]
        if not rows:
            raise DecodeError(f"{manifest.path}: has no row to decode; {len(manifest.rows)} are rejected")
        self._ids = [row.id for row in rows]
        self._shape = (num_frames, *frame_shape(size))
        self._dtype = frame_dtype(size)
        self._sample_rate = size.sample_rate if isinstance(size, Sound) else None
        self._items = [
            ClipItem(f"{row.id}#0", row.id, row.label, row.split, row.group or row.id, row.caption, ()) for row in rows
        ]
        facts = [[row_to_json(row) for row in rows], self._shape, repr(sampler), seed]
        if isinstance(size, Sound):
            facts.append(repr(size))
        self._digest = digest(facts)
        files = [manifest.resolve(row) for row in rows]
        self._decode: Callable[[_Request], Clip] = partial(
            _decode,
            rows=list(zip(files, rows, strict=True)),
            num_frames=num_frames,
            size=size,
            sampler=sampler,
            seed=seed,
        )
        self._pool: WorkerPool[_Request, Clip] | None = None
        if workers > 0:
            self._pool = WorkerPool(
                self._decode,
                workers=workers,
                time_limit_seconds=time_limit_seconds,
                memory_limit_bytes=memory_limit_bytes,
            )

    def __len__(self) -> int:
        return len(self._items)

    def __enter__(self) -> "DecodedClips":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def items(self) -> Sequence[ClipItem]:
        """One for each row; their timestamps are empty, because they differ from epoch to epoch."""
        return self._items

    @property
    def digest(self) -> str:
        """Names the rows and how they are sampled; it does not see changes of the files' content."""
        return self._digest

    @property
    def sample_rate(self) -> int | None:
        """Hertz of sound; None of pictures."""
        return self._sample_rate

    def clips(self, indices: Sequence[int], *, epoch: int = 0) -> Clips:
        """Decodes the clips of some rows.

        Args:
            indices: Positions, >= 0; any order, repeats allowed.
            epoch: Pass over the data; a random sampler picks other frames in each.

        Raises:
            DecodeError: If a row cannot be decoded to a clip of the asked length; the message names it.
            IndexError: If there is no such row.
        """
        check_positions(indices, len(self))
        batch = torch.empty((len(indices), *self._shape), dtype=self._dtype)
        requests = [_Request(index, epoch) for index in indices]
        if self._pool is None:
            for place, request in zip(batch, requests, strict=True):
                place.copy_(self._decode(request).frames)
            return batch
        for place, request, outcome in zip(batch, requests, self._pool.map(requests), strict=True):
            if outcome.value is None:
                raise DecodeError(f"row {self._ids[request.index]}: {outcome.error_type}: {outcome.error_message}")
            place.copy_(outcome.value.frames)
        return batch

    def close(self) -> None:
        """Ends the workers."""
        if self._pool is not None:
            self._pool.close()


def _decode(
    request: _Request,
    *,
    rows: Sequence[tuple[Any, Any]],
    num_frames: int,
    size: Size | Sound,
    sampler: Sampler,
    seed: int,
) -> Clip:
    path, row = rows[request.index]
    try:
        clips = decode_row(path, row, sampler=sampler, size=size, seed=seed, epoch=request.epoch, item=request.index)
    except Exception as error:
        raise DecodeError(f"row {row.id}: {type(error).__name__}: {error}") from error
    if not clips:
        raise DecodeError(f"row {row.id}: the sampler gives no clip of it; reject the row or choose another sampler")
    random = ItemRandom(seed, request.epoch, [request.index])
    clip = clips[int(random.integers("which clip of the row", high=len(clips)))]
    if len(clip.frames) != num_frames:
        raise DecodeError(
            f"row {row.id}: gives a clip of {len(clip.frames)} frames where {num_frames} are wanted; set num_frames to 1 "
            "for images, or the sampler's past_end to repeat_last or loop for short videos"
        )
    return clip
