"""Strips and galleries show the clips they say they show."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mmssl.data.dataset import ClipItem
from mmssl.errors import RetrievalError
from mmssl.media.image import read_image
from mmssl.report.pictures import contact_strip, neighbor_gallery, sample_strips
from mmssl.retrieval.embeddings import EmbeddingTable
from mmssl.retrieval.index import Index

LABELS = ("a", "a", "b", "b", "c", "c")


@dataclass
class Clips:
    """Six clips of three frames; each pixel of clip n is 40 n."""

    digest: str = "clips"
    pts_seconds: tuple[float, ...] = (0.5, 1.0, 1.5)

    @property
    def items(self) -> Sequence[ClipItem]:
        return [
            ClipItem(f"clip{number}", f"row{number}", label, None, f"g{number}", None, self.pts_seconds)
            for number, label in enumerate(LABELS)
        ]

    def __len__(self) -> int:
        return len(LABELS)

    def clips(self, indices: Sequence[int], *, epoch: int = 0) -> Tensor:
        levels = torch.tensor([40 * index for index in indices], dtype=torch.uint8)
        return levels[:, None, None, None, None].expand(-1, 3, 3, 20, 30).contiguous()


def table() -> EmbeddingTable:
    """Clips on a quarter circle: the next one is the nearest."""
    angles = np.arange(6) ** 1.2 / 10
    return EmbeddingTable(
        ids=tuple(f"clip{number}" for number in range(6)),
        embeddings=np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32),
        row_ids=tuple(f"row{number}" for number in range(6)),
        labels=LABELS,
        splits=(None,) * 6,
        groups=tuple(f"g{number}" for number in range(6)),
        encoder="toy",
        encoder_digest="d",
        source_digest="clips",
    )


def level(file: Path) -> int:
    """Which clip a picture shows."""
    return round(read_image(file).float().mean().item() / 40)


def test_strip_holds_frames_in_order() -> None:
    frames = torch.arange(10, dtype=torch.uint8)[:, None, None, None].mul(20).expand(-1, 3, 12, 16).contiguous()
    strip = contact_strip(frames, max_frames=4, height=12)
    assert strip.shape == (3, 12, 4 * 16 + 3 * 2)
    assert [int(strip[0, 5, 8 + 18 * number]) for number in range(4)] == [0, 60, 120, 180]
    assert int(strip[0, 0, 16]) == 255
    assert contact_strip(frames[:1], height=24).shape == (3, 24, 32)


def test_samples_are_spread_over_the_source(tmp_path: Path) -> None:
    images = sample_strips(tmp_path, Clips(), count=3)
    assert [picture.caption.split(",")[0] for picture in images.pictures] == ["clip0", "clip2", "clip5"]
    assert all((tmp_path / picture.file).is_file() for picture in images.pictures)
    assert images.per_row == 1


def test_still_pictures_stand_side_by_side_and_begin_nowhere(tmp_path: Path) -> None:
    images = sample_strips(tmp_path, Clips(pts_seconds=(0.0,)), count=3)
    assert images.per_row > 1
    assert [picture.caption for picture in images.pictures] == ["clip0, a", "clip2, b", "clip5, c"]


def test_gallery_shows_the_nearest_clips_with_their_marks(tmp_path: Path) -> None:
    images = neighbor_gallery(tmp_path, table(), Clips(), Index.from_table(table()), num_queries=3, num_neighbors=2)
    assert images.per_row == 3
    rows = [images.pictures[start : start + 3] for start in (0, 3, 6)]
    assert [[level(tmp_path / picture.file) for picture in row] for row in rows] == [[0, 1, 2], [2, 1, 3], [4, 3, 5]]
    assert [[picture.mark for picture in row] for row in rows] == [
        ["query", "match", "miss"],
        ["query", "miss", "match"],
        ["query", "miss", "match"],
    ]
    assert rows[0][1].caption.endswith(" a")


def test_gallery_leaves_out_the_querys_group(tmp_path: Path) -> None:
    grouped = replace(table(), groups=("g0", "g0", "g0", "g1", "g1", "g1"))
    images = neighbor_gallery(tmp_path, grouped, Clips(), Index.from_table(grouped), num_queries=1, num_neighbors=4)
    assert [picture.file and level(tmp_path / picture.file) for picture in images.pictures] == [0, 3, 4, 5, ""]


def test_gallery_asks_for_held_out_clips(tmp_path: Path) -> None:
    split = replace(table(), splits=("train",) * 4 + ("test",) * 2)
    images = neighbor_gallery(tmp_path, split, Clips(), Index.from_table(split), num_queries=9, num_neighbors=1)
    queries = [level(tmp_path / picture.file) for picture in images.pictures if picture.mark == "query"]
    assert queries == [4, 5]


def test_gallery_of_another_encoder_is_refused(tmp_path: Path) -> None:
    index = Index.from_table(replace(table(), encoder_digest="other"))
    with pytest.raises(RetrievalError, match="digest other"):
        neighbor_gallery(tmp_path, table(), Clips(), index)
