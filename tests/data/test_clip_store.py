"""The clip store gives back what was written, survives kills, and refuses to be read damaged."""

import pickle
from pathlib import Path

import pytest
import torch

from mmssl.data.clip_store import ClipStore, ClipStoreWriter
from mmssl.data.dataset import ClipItem, SubsetClips
from mmssl.errors import ClipStoreError
from mmssl.media.clip import Clip

SHAPE = (2, 3, 4, 6)


def make_clips(count: int, *, first: int = 0) -> list[tuple[ClipItem, Clip]]:
    random = torch.Generator().manual_seed(first)
    made = []
    for number in range(first, first + count):
        frames = torch.randint(0, 256, SHAPE, dtype=torch.uint8, generator=random)
        pts = torch.tensor([number / 3, number / 3 + 0.1], dtype=torch.float64)
        split = "train" if number % 2 else None
        item = ClipItem(f"row{number}#0", f"row{number}", "cat", split, f"g{number}", None, tuple(pts.tolist()))
        made.append((item, Clip(frames, pts)))
    return made


def write(folder: Path, shards: list[list[tuple[ClipItem, Clip]]], order: list[int] | None = None) -> ClipStore:
    writer = ClipStoreWriter(folder, num_frames=2, size=(4, 6))
    for shard in order or range(len(shards)):
        writer.write_shard(shard, shards[shard])
    writer.finish(len(shards))
    return ClipStore(folder)


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_gives_back_items_and_pixels_in_any_order(tmp_path: Path) -> None:
    shards = [make_clips(3), [], make_clips(4, first=3)]
    store = write(tmp_path, shards)
    every = [pair for shard in shards for pair in shard]
    assert list(store.items) == [item for item, _ in every]
    assert (len(store), store.num_frames, store.size) == (7, 2, (4, 6))
    asked = [6, 0, 3, 3, 2]
    assert torch.equal(store.clips(asked), torch.stack([every[index][1].frames for index in asked]))
    assert store.clips([]).shape == (0, *SHAPE)
    store.verify()


def test_bytes_do_not_depend_on_the_order_of_writing(tmp_path: Path) -> None:
    shards = [make_clips(2), make_clips(2, first=2)]
    first, second = write(tmp_path / "a", shards), write(tmp_path / "b", shards, [1, 0])
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert first.digest == second.digest
    assert set(files(tmp_path / "a")) == {"shard-00000.bin", "shard-00001.bin", "index.parquet", "store.json"}


def test_the_digest_sees_pixels_and_labels(tmp_path: Path) -> None:
    clips = make_clips(2)
    digests = {write(tmp_path / "a", [clips]).digest}
    changed = clips[0][1].frames.clone()
    changed[0, 0, 0, 0] ^= 1
    digests.add(write(tmp_path / "b", [[(clips[0][0], Clip(changed, clips[0][1].pts_seconds)), clips[1]]]).digest)
    digests.add(write(tmp_path / "c", [clips[:1]]).digest)
    assert len(digests) == 3


def test_an_interrupted_writer_goes_on(tmp_path: Path) -> None:
    shards = [make_clips(2), make_clips(2, first=2)]
    write(tmp_path / "whole", shards)
    folder = tmp_path / "killed"
    ClipStoreWriter(folder, num_frames=2, size=(4, 6)).write_shard(0, shards[0])
    (folder / ".shard-00001.bin.77.partial").write_bytes(b"half")
    with pytest.raises(ClipStoreError, match="no finished clip store"):
        ClipStore(folder)
    writer = ClipStoreWriter(folder, num_frames=2, size=(4, 6))
    assert [writer.is_done(0), writer.is_done(1)] == [True, False]
    assert not ClipStoreWriter(folder, num_frames=2, size=(6, 4)).is_done(0)
    with pytest.raises(ClipStoreError, match=r"shards \[1\] of 2"):
        writer.finish(2)
    writer.write_shard(1, shards[1])
    writer.finish(2)
    writer.finish(2)
    assert writer.is_done(1)
    assert files(folder) == files(tmp_path / "whole")


def test_a_shard_without_its_index_or_with_a_short_file_is_not_done(tmp_path: Path) -> None:
    writer = ClipStoreWriter(tmp_path, num_frames=2, size=(4, 6))
    writer.write_shard(0, make_clips(2))
    (tmp_path / "shard-00000.bin").write_bytes(b"short")
    assert not writer.is_done(0)


def test_a_failing_shard_leaves_nothing(tmp_path: Path) -> None:
    writer = ClipStoreWriter(tmp_path, num_frames=2, size=(4, 7))
    with pytest.raises(ClipStoreError, match="row0#0: a clip of"):
        writer.write_shard(0, make_clips(1))
    assert not list(tmp_path.iterdir())


def test_refuses_two_clips_of_one_id(tmp_path: Path) -> None:
    with pytest.raises(ClipStoreError, match="two clips have the id 'row0#0'"):
        write(tmp_path, [make_clips(1), make_clips(1)])


@pytest.mark.parametrize("name", ["index.parquet", "store.json", "shard-00000.bin"])
@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_damage_is_found_on_opening(tmp_path: Path, name: str, damage: str) -> None:
    write(tmp_path, [make_clips(2)])
    if damage == "missing":
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-7])
    with pytest.raises(ClipStoreError, match=str(tmp_path)):
        ClipStore(tmp_path)


def test_verify_names_the_damaged_clip(tmp_path: Path) -> None:
    store = write(tmp_path, [make_clips(3)])
    content = bytearray((tmp_path / "shard-00000.bin").read_bytes())
    content[len(content) // 2] ^= 4
    (tmp_path / "shard-00000.bin").write_bytes(content)
    with pytest.raises(ClipStoreError, match="row1#0 are damaged"):
        store.verify()


def test_pickles_as_its_folder(tmp_path: Path) -> None:
    store = write(tmp_path, [make_clips(3)])
    store.clips([0])
    content = pickle.dumps(store)
    assert len(content) < 500
    assert torch.equal(pickle.loads(content).clips([2]), store.clips([2]))


def test_a_position_outside_is_refused(tmp_path: Path) -> None:
    store = write(tmp_path, [make_clips(3)])
    for index in (-1, 3):
        with pytest.raises(IndexError):
            store.clips([index])


def test_subset_maps_positions(tmp_path: Path) -> None:
    store = write(tmp_path, [make_clips(5)])
    subset = SubsetClips(store, [1, 3])
    assert [item.id for item in subset.items] == ["row1#0", "row3#0"]
    assert torch.equal(subset.clips([1, 0]), store.clips([3, 1]))
    assert len(subset) == 2
    assert subset.digest != store.digest
    assert subset.digest != SubsetClips(store, [3, 1]).digest
