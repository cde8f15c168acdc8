"""Clips of one length and size as memory-mapped shards of pixels or samples with a Parquet index.

A folder holds `shard-00000.bin`, `index.parquet` (a row a clip) and `store.json`, which is written last: a folder without it is
not finished. A shard is nothing but pixels, uint8 `[clips, frames, 3, height, width]`, or nothing but samples of sound,
little-endian float32 `[clips, frames, 1, samples]`; where clips have sound beside their pictures, each clip's pixels are
followed by its samples, float32 `[1, samples]`. Until the end each finished shard has its own `shard-00000.parquet`, so
that an interrupted writer knows which shards it need not write again.
"""

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import torch
from jaxtyping import Float32
from numpy.typing import NDArray
from torch import Tensor

from mmssl.data.clip_form import ClipForm
from mmssl.data.dataset import ClipItem, Clips, check_positions
from mmssl.data.sound import ClipSize
from mmssl.errors import ClipStoreError
from mmssl.files import atomic_file, remove_partial
from mmssl.media.clip import Clip

FORMAT = "mmssl clips 1"
COLUMNS = pyarrow.schema(
    [
        pyarrow.field("id", pyarrow.string(), nullable=False),
        pyarrow.field("row_id", pyarrow.string(), nullable=False),
        pyarrow.field("label", pyarrow.string()),
        pyarrow.field("split", pyarrow.string()),
        pyarrow.field("group", pyarrow.string(), nullable=False),
        pyarrow.field("caption", pyarrow.string()),
        pyarrow.field("pts_seconds", pyarrow.list_(pyarrow.float64()), nullable=False),
        pyarrow.field("checksum", pyarrow.string(), nullable=False),
    ]
)


class ClipStoreWriter:
    """Writes a clip store, shard by shard in any order; a shard that is done stays done after a kill.

    Several processes may write different shards; one of them calls `finish`.

    Args:
        folder: Where the store is made, or goes on being made.
        num_frames: Frames of every clip.
        size: Height and width of every clip's pictures, windows of sound, or both.
    """

    def __init__(self, folder: Path, *, num_frames: int, size: ClipSize) -> None:
        self.folder = folder
        self.form = ClipForm.of(num_frames, size)
        folder.mkdir(parents=True, exist_ok=True)

    def is_done(self, shard: int) -> bool:
        """Whether a shard has been written whole, with clips of this shape."""
        if (self.folder / "store.json").exists():
            facts = _read_facts(self.folder)
            return ClipForm.from_facts(facts) == self.form and shard < len(facts["shards"])
        part = self.folder / _part_name(shard)
        if not part.exists():
            return False
        metadata = pyarrow.parquet.read_metadata(part)
        form = ClipForm.from_facts(json.loads(metadata.metadata[b"form"]))
        file = self.folder / _shard_name(shard)
        num_bytes = metadata.num_rows * self.form.dtype.itemsize
        return form == self.form and file.exists() and file.stat().st_size == num_bytes

    def write_shard(self, shard: int, clips: Sequence[tuple[ClipItem, Clip]]) -> None:
        """Writes one shard, whole or not at all; it may hold no clip, where all of its rows were rejected.

        Raises:
            ClipStoreError: If a clip has another shape, other sound, or timestamps other than its item's.
        """
        form = self.form
        columns: dict[str, list[Any]] = {name: [] for name in COLUMNS.names}
        with atomic_file(self.folder / _shard_name(shard)) as partial, partial.open("wb") as file:
            for item, clip in clips:
                if tuple(clip.frames.shape) != form.shape:
                    raise ClipStoreError(
                        f"{item.id}: a clip of {tuple(clip.frames.shape)} does not fit into a store of {form.shape}; decode "
                        f"it with num_frames={form.shape[0]}, size={form.shape[2:]}"
                    )
                samples = 0 if clip.sound is None else clip.sound.shape[1]
                if samples != form.sound_samples:
                    raise ClipStoreError(
                        f"{item.id}: has {samples} samples of sound, the clips of this store have {form.sound_samples}"
                    )
                if item.pts_seconds != tuple(clip.pts_seconds.tolist()):
                    raise ClipStoreError(f"{item.id}: the item's timestamps are not those of its clip")
                parts = [part.contiguous().numpy() for part in (clip.frames, clip.sound) if part is not None]
                for part in parts:
                    file.write(part.data)
                for name in COLUMNS.names:
                    columns[name].append(_checksum(parts) if name == "checksum" else getattr(item, name))
        table = pyarrow.table(columns, schema=COLUMNS.with_metadata({"form": json.dumps(form.facts)}))
        with atomic_file(self.folder / _part_name(shard)) as partial:
            pyarrow.parquet.write_table(table, partial)

    def finish(self, num_shards: int) -> None:
        """Joins the shards to a store; call it when all are done. Calling it again does no harm.

        Raises:
            ClipStoreError: If a shard is not done, or two clips have one id.
        """
        remove_partial(self.folder)
        missing = [shard for shard in range(num_shards) if not self.is_done(shard)]
        if missing:
            raise ClipStoreError(f"{self.folder}: shards {missing[:10]} of {num_shards} are not written yet")
        if not (self.folder / "store.json").exists():
            self._write_index(num_shards)
        for part in self.folder.glob("shard-*.parquet"):
            part.unlink()

    def _write_index(self, num_shards: int) -> None:
        parts = [
            pyarrow.parquet.read_table(self.folder / _part_name(shard), schema=COLUMNS) for shard in range(num_shards)
        ]
        table = pyarrow.concat_tables([COLUMNS.empty_table(), *parts]).replace_schema_metadata(None)
        ids = table["id"].to_pylist()
        if len(set(ids)) < len(ids):
            seen: set[str] = set()
            twice = next(name for name in ids if name in seen or seen.add(name))  # type: ignore[func-returns-value]
            raise ClipStoreError(f"{self.folder}: two clips have the id {twice!r}; ids must be unique")
        form = self.form.facts
        content = hashlib.sha256(json.dumps(list(form.values()) if len(form) > 1 else self.form.shape).encode())
        for row in zip(*(table[name].to_pylist() for name in COLUMNS.names), strict=True):
            content.update(json.dumps(row).encode())
        index = self.folder / "index.parquet"
        with atomic_file(index) as partial:
            pyarrow.parquet.write_table(table.combine_chunks(), partial)
        facts = {
            "format": FORMAT,
            **form,
            "shards": [len(part) for part in parts],
            "num_clips": len(table),
            "digest": content.hexdigest()[:16],
            "index_checksum": hashlib.sha256(index.read_bytes()).hexdigest(),
        }
        with atomic_file(self.folder / "store.json") as partial:
            partial.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


class ClipStore:
    """The clips of a finished store; a `ClipSource` that reads at the speed of memory.

    Opening it checks that everything is there at its full length and that the index is what was written; `verify`
    checks the pixels too.

    Args:
        folder: What `ClipStoreWriter` wrote.

    Raises:
        ClipStoreError: If the folder holds no finished store, or part of it is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        facts = _read_facts(folder)
        self._form = ClipForm.from_facts(facts)
        self._lengths: list[int] = facts["shards"]
        self._digest: str = facts["digest"]
        self._first = np.cumsum([0, *self._lengths])
        clip_bytes = self._form.dtype.itemsize
        index = folder / "index.parquet"
        if not index.is_file() or hashlib.sha256(index.read_bytes()).hexdigest() != facts["index_checksum"]:
            raise ClipStoreError(f"{index}: is missing or not what was written; decode the clips again")
        for shard, length in enumerate(self._lengths):
            file = folder / _shard_name(shard)
            size = file.stat().st_size if file.is_file() else None
            if size != length * clip_bytes:
                found = "is missing" if size is None else f"has {size} bytes instead of {length * clip_bytes}"
                raise ClipStoreError(f"{file}: {found}; decode the clips again")

    def __reduce__(self) -> tuple[type["ClipStore"], tuple[Path]]:
        return ClipStore, (self.folder,)

    def __len__(self) -> int:
        return int(self._first[-1])

    @property
    def num_frames(self) -> int:
        """Frames of every clip."""
        return self._form.shape[0]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of every clip's pictures."""
        return self._form.shape[2], self._form.shape[3]

    @property
    def sample_rate(self) -> int | None:
        """Hertz of sound; None of pictures."""
        return self._form.sample_rate

    @property
    def num_samples(self) -> int:
        """Samples of every window of sound, or of the sound beside every clip's pictures."""
        return self._form.sound_samples or self._form.shape[2]

    @property
    def sound_rate(self) -> int | None:
        """Hertz of the sound beside pictures; None where there is none."""
        return self._form.sound_rate

    @property
    def digest(self) -> str:
        """Names the content: two stores with one digest hold the same clips in the same order."""
        return self._digest

    @cached_property
    def items(self) -> Sequence[ClipItem]:
        """One for each clip."""
        names = [name for name in COLUMNS.names if name != "checksum"]
        table = pyarrow.parquet.read_table(self.folder / "index.parquet", columns=names)
        rows = zip(*(table[name].to_pylist() for name in names), strict=True)
        return [ClipItem(**dict(zip(names, row, strict=True)) | {"pts_seconds": tuple(row[-1])}) for row in rows]

    def clips(self, indices: Sequence[int], *, epoch: int = 0) -> Clips:
        """Copies clips out of the store.

        Args:
            indices: Positions, >= 0; any order, repeats allowed.
            epoch: Has no effect: a stored clip is the same in each.

        Raises:
            IndexError: If a position is not in the store.
        """
        return self._copied("frames", indices)

    def sounds(self, indices: Sequence[int], *, epoch: int = 0) -> Float32[Tensor, "batch 1 samples"]:
        """Copies the sound beside clips out of the store; see `clips`.

        Raises:
            ClipStoreError: If there is none.
            IndexError: If a position is not in the store.
        """
        if self.sound_rate is None:
            raise ClipStoreError(f"{self.folder}: its clips have no sound beside them")
        return self._copied("sound", indices)

    def verify(self) -> None:
        """Reads all pixels and compares them with what was written.

        Raises:
            ClipStoreError: If a clip differs; the message names the first.
        """
        checksums = pyarrow.parquet.read_table(self.folder / "index.parquet", columns=["id", "checksum"]).to_pylist()
        for index, written in enumerate(checksums):
            parts = [self._copied(name, [index])[0].numpy() for name in self._form.dtype.names or ()]
            if _checksum(parts) != written["checksum"]:
                raise ClipStoreError(
                    f"{self.folder}: the pixels of {written['id']} are damaged; decode the clips again"
                )

    def _copied(self, name: str, indices: Sequence[int]) -> Tensor:
        """One part of the clips at some positions."""
        dtype, shape = self._form.dtype[name].subdtype or (self._form.dtype[name], ())
        rows = np.empty((len(indices), *shape), dtype.newbyteorder("="))
        check_positions(indices, len(self))
        for row, index in zip(rows, indices, strict=True):
            shard = int(np.searchsorted(self._first, index, side="right")) - 1
            row[...] = self._shards[shard][name][index - self._first[shard]]
        return torch.from_numpy(rows)

    @cached_property
    def _shards(self) -> list[NDArray[Any]]:
        dtype = self._form.dtype
        return [
            np.memmap(self.folder / _shard_name(shard), dtype, "r", shape=(length,)) if length else np.empty(0, dtype)
            for shard, length in enumerate(self._lengths)
        ]


def _shard_name(shard: int) -> str:
    return f"shard-{shard:05}.bin"


def _part_name(shard: int) -> str:
    return f"shard-{shard:05}.parquet"


def _checksum(parts: Sequence[NDArray[Any]]) -> str:
    hashed = hashlib.blake2b(digest_size=8)
    for part in parts:
        hashed.update(part.data)
    return hashed.hexdigest()


def _read_facts(folder: Path) -> dict[str, Any]:
    file = folder / "store.json"
    try:
        facts: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if facts["format"] != FORMAT:
            raise ClipStoreError(
                f"{file}: is of format {facts['format']!r}, this version reads {FORMAT!r}; decode again"
            )
        return facts
    except FileNotFoundError as error:
        raise ClipStoreError(f"{folder}: holds no finished clip store; run the decode stage that makes it") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ClipStoreError(f"{file}: is damaged ({error!r}); decode the clips again") from error
