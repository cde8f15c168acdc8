"""Tables of made embeddings, clips that are easy to tell apart, and what protocols say about them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmssl.config import build
from mmssl.data.dataset import ClipItem
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject
from mmssl.models import ENCODER_CHOICE
from mmssl.models.loading import LoadedEncoder, load_encoder
from mmssl.retrieval.embeddings import EmbeddingTable


def table_of(embeddings: np.ndarray, **columns: tuple[Any, ...]) -> EmbeddingTable:
    """A table whose clips are each a row and a group of their own, without split, where columns do not say otherwise."""
    ids = tuple(f"clip{number}" for number in range(len(embeddings)))
    columns = {"labels": ("a",) * len(ids), "splits": (None,) * len(ids), "groups": ids, **columns}
    return EmbeddingTable(
        ids=ids,
        embeddings=np.asarray(embeddings, np.float32),
        row_ids=ids,
        encoder="toy",
        encoder_digest=load_encoder("pixels").digest,
        source_digest="clips",
        **columns,
    )


def subject_of(table: EmbeddingTable, **facts: Any) -> Subject:
    return Subject(encoder=load_encoder("pixels"), dataset="toys", name="toy", tables=(table,), **{"seed": 7, **facts})


def scores(rows: list[ReportRow], encoder: str = "toy") -> dict[str, float | None]:
    return {row.metric: row.value for row in rows if row.encoder == encoder}


def noisy_table(
    count: int = 90, *, splits: bool = True, scale: float = 0.7, num_classes: int = 6, per_group: int = 6
) -> EmbeddingTable:
    """Classes as directions with noise; every third clip is of the split `test`, in groups of their own."""
    random = np.random.default_rng(3)
    classes = random.integers(0, num_classes, count)
    embeddings = (np.eye(8)[classes] + random.normal(scale=scale, size=(count, 8))).astype(np.float32)
    split = tuple("test" if splits and place % 3 == 0 else "train" for place in range(count))
    groups = tuple(f"{split[place]}{place // per_group}" for place in range(count))
    return table_of(embeddings, labels=tuple(f"class{number}" for number in classes), splits=split, groups=groups)


class ColorClips:
    """Noisy pictures of three colors, one class each; every third is of the split `test`."""

    def __init__(self, count: int = 60, *, num_frames: int = 1, size: int = 16, noise: float = 40.0) -> None:
        self.classes = [number // 3 % 3 for number in range(count)]
        random = torch.Generator().manual_seed(0)
        colors = torch.eye(3)[self.classes][:, None, :, None, None] * 120 + 60
        shape = (count, num_frames, 3, size, size)
        self._pixels = (colors + noise * torch.randn(shape, generator=random)).clamp(0, 255).to(torch.uint8)
        self.frames_read = 0

    @property
    def items(self) -> Sequence[ClipItem]:
        return [
            ClipItem(
                f"clip{number}",
                f"row{number}",
                "rgb"[self.classes[number]],
                "test" if number % 3 == 0 else "train",
                f"row{number}",
                None,
                (0.0,) * self._pixels.shape[1],
            )
            for number in range(len(self))
        ]

    @property
    def digest(self) -> str:
        return "clips"

    def __len__(self) -> int:
        return len(self._pixels)

    def clips(self, indices: Sequence[int], *, epoch: int = 0) -> Tensor:
        self.frames_read += len(indices)
        return self._pixels[list(indices)]


def small_encoder(seed: int = 0) -> LoadedEncoder:
    """A residual network that trains in a blink."""
    torch.manual_seed(seed)
    encoder = build({"name": "small_resnet", "width": 4, "feature_dim": 8, "num_blocks": [1, 1]}, ENCODER_CHOICE)
    card = load_encoder("pixels").card
    return LoadedEncoder(encoder.eval(), "small_resnet:width=4,feature_dim=8", f"digest {seed}", card)
