"""Tables of embeddings: what is in them, what comes back from the disk, what is refused."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mmssl.data.dataset import ClipItem
from mmssl.errors import RetrievalError
from mmssl.models.encoder import Encoder
from mmssl.models.loading import LoadedEncoder, load_encoder
from mmssl.retrieval.embeddings import EmbeddingTable, embed_clips


@dataclass
class Clips:
    """A clip source in memory."""

    frames: Tensor

    digest: str = "clips"

    @property
    def items(self) -> Sequence[ClipItem]:
        times = tuple(float(frame) for frame in range(self.frames.shape[1]))
        return [
            ClipItem(f"row{number}#0", f"row{number}", f"label{number % 2}", None, f"group{number // 2}", None, times)
            for number in range(len(self))
        ]

    def __len__(self) -> int:
        return len(self.frames)

    def clips(self, indices: Sequence[int], *, epoch: int = 0) -> Tensor:
        return self.frames[list(indices)]


class MeanColor(Encoder):
    """Embeds an image by its mean color; not finite where it is black."""

    dim = 3

    def forward(self, images: Tensor) -> Tensor:
        assert not self.training
        assert not torch.is_grad_enabled()
        assert len(images) <= 4
        means = images.mean(dim=(2, 3))
        return means / (means.sum(dim=1, keepdim=True) > 0)


def random_clips(count: int = 5, frames: int = 3) -> Clips:
    generator = torch.Generator().manual_seed(0)
    return Clips(torch.randint(1, 256, (count, frames, 3, 6, 8), generator=generator, dtype=torch.uint8))


def mean_color() -> LoadedEncoder:
    return replace(load_encoder("pixels"), encoder=MeanColor().train(), reference="colors", digest="d1")


def table() -> EmbeddingTable:
    return embed_clips(mean_color(), random_clips(), batch_size=4)


@pytest.mark.parametrize("frames", [1, 2, 3, 9])
def test_embedding_is_the_mean_over_the_frames(frames: int) -> None:
    source = random_clips(frames=frames)
    found = embed_clips(mean_color(), source, batch_size=4)
    for clip, embedding in zip(source.frames, found.embeddings, strict=True):
        slowly = sum(frame.double().mean(dim=(1, 2)) / 255 for frame in clip) / frames
        np.testing.assert_allclose(embedding, slowly.numpy(), atol=1e-6)


def test_table_says_what_each_row_is() -> None:
    found = table()
    assert found.ids == tuple(f"row{number}#0" for number in range(5))
    assert found.row_ids[4] == "row4"
    assert found.labels == ("label0", "label1", "label0", "label1", "label0")
    assert found.groups == ("group0", "group0", "group1", "group1", "group2")
    assert found.splits == (None,) * 5
    assert (found.encoder, found.encoder_digest, found.source_digest) == ("colors", "d1", "clips")
    assert (len(found), found.dim) == (5, 3)


def test_batch_size_does_not_matter() -> None:
    np.testing.assert_allclose(table().embeddings, embed_clips(mean_color(), random_clips(), batch_size=1).embeddings)


def test_clip_whose_embedding_is_not_finite_is_named() -> None:
    source = random_clips()
    source.frames[3, 1] = 0
    with pytest.raises(RetrievalError, match="embedding of clip 'row3#0' is not finite"):
        embed_clips(mean_color(), source, batch_size=4)


def test_no_clip_is_refused() -> None:
    with pytest.raises(RetrievalError, match="no clip"):
        embed_clips(mean_color(), random_clips(0))


def test_saved_and_loaded_is_the_same(tmp_path: Path) -> None:
    first = table()
    first.save(tmp_path / "table")
    loaded = EmbeddingTable.load(tmp_path / "table")
    assert isinstance(loaded.embeddings, np.memmap)
    np.testing.assert_array_equal(loaded.embeddings, first.embeddings)
    assert replace(loaded, embeddings=first.embeddings) == first


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        table().save(tmp_path / name)
    files = sorted(file.name for file in (tmp_path / "a").iterdir())
    assert files == ["embeddings.npy", "items.parquet", "table.json"]
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)


def test_write_that_fails_leaves_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table().save(tmp_path)

    def no_space(*arguments: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("pyarrow.parquet.write_table", no_space)
    with pytest.raises(OSError, match="no space"):
        table().save(tmp_path)
    with pytest.raises(RetrievalError, match="holds no embedding table"):
        EmbeddingTable.load(tmp_path)
    assert not list(tmp_path.glob(".*"))


def flip_last_byte(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("embeddings.npy", flip_last_byte, "embeddings.npy: differs"),
        ("items.parquet", flip_last_byte, "items.parquet: differs"),
        ("embeddings.npy", Path.unlink, "embeddings.npy is missing"),
        ("table.json", lambda file: file.write_text("{"), "table.json: is damaged"),
        ("table.json", lambda file: file.write_text("[]"), "table.json: is damaged"),
        ("table.json", Path.unlink, "holds no embedding table"),
    ],
)
def test_damage_is_refused(tmp_path: Path, file: str, damage: Callable[[Path], object], message: str) -> None:
    table().save(tmp_path)
    damage(tmp_path / file)
    with pytest.raises(RetrievalError, match=message) as error:
        EmbeddingTable.load(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("change", [{"count": 4}, {"dim": 2}, {"count": None}, {"checksums": {"../x": "0"}}])
def test_record_that_does_not_fit_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    table().save(tmp_path)
    record = json.loads((tmp_path / "table.json").read_text())
    (tmp_path / "table.json").write_text(json.dumps({**record, **change}))
    with pytest.raises(RetrievalError):
        EmbeddingTable.load(tmp_path)


def test_columns_must_fit() -> None:
    good = table()
    with pytest.raises(RetrievalError, match="'row0#0'"):
        replace(good, ids=("row0#0", "row0#0", "c", "d", "e"))
    with pytest.raises(RetrievalError, match="one length"):
        replace(good, labels=("a",))


def test_subset_keeps_rows_together() -> None:
    part = table().subset([3, 0])
    assert part.ids == ("row3#0", "row0#0")
    assert part.labels == ("label1", "label0")
    np.testing.assert_array_equal(part.embeddings, table().embeddings[[3, 0]])
