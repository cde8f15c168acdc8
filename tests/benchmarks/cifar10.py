"""What the comparisons on CIFAR-10 share: a part of it in memory, training by a recipe, and a score.

The manifest comes from `python datasets/cifar10.py ROOT -o data/cifar10.jsonl`.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from mmssl.config import build, digest, normalized
from mmssl.data.dataset import ClipItem
from mmssl.data.manifest import ManifestRow, read_manifest
from mmssl.evaluation.labeled import balanced_part
from mmssl.evaluation.subject import Subject
from mmssl.media.image import read_image
from mmssl.models import ENCODER_CHOICE
from mmssl.models.loading import load_encoder
from mmssl.objectives import OBJECTIVE_CHOICE
from mmssl.training.loop import train
from mmssl.training.settings import TrainSettings
from mmssl.views import VIEW_CHOICE

RECIPES = Path(__file__).parents[2] / "pipelines" / "image" / "cifar"
DATASET = "cifar10"
TRAIN, TEST = "train", "test"


class Pictures:
    """Labelled pictures in memory; a `ClipSource`."""

    def __init__(self, items: Sequence[ClipItem], pixels: Tensor) -> None:
        self.items = items
        self.digest = digest([item.id for item in items])
        self._pixels = pixels

    def __len__(self) -> int:
        return len(self.items)

    def clips(self, indices: Sequence[int], *, epoch: int = 0) -> Tensor:
        """As `ClipSource.clips`."""
        return self._pixels[list(indices)]

    def of(self, split: str) -> "Pictures":
        """Those of one split."""
        kept = [place for place, item in enumerate(self.items) if item.split == split]
        return Pictures([self.items[place] for place in kept], self._pixels[kept])


def read_pictures(manifest: Path, *, num_train: int, num_test: int, validation: bool) -> Pictures:
    """Balanced parts of the training and of the test split, which names alone choose.

    Args:
        manifest: Of CIFAR-10.
        num_train: Pictures to learn from.
        num_test: Pictures to score, in the split `test`.
        validation: Whether those are other pictures of the training split, to choose settings on.
    """
    table = read_manifest(manifest)
    of_split = {split: [row for row in table.rows if row.split == split] for split in (TRAIN, TEST)}
    train_rows, rest = _parted(of_split[TRAIN], num_train)
    test_rows, _ = _parted(rest if validation else of_split[TEST], num_test)
    rows = [*train_rows, *(replace(row, split=TEST) for row in test_rows)]
    items = [ClipItem(row.id, row.id, row.label, row.split, row.id, None, (0.0,)) for row in rows]
    return Pictures(items, torch.stack([read_image(table.resolve(row)) for row in rows])[:, None])


def _parted(rows: Sequence[ManifestRow], count: int) -> tuple[list[ManifestRow], list[ManifestRow]]:
    """So many rows, as many of each class, and the others."""
    names, classes = np.unique([str(row.label) for row in rows], return_inverse=True)
    kept = balanced_part(classes, [row.id for row in rows], per_class=count // len(names), seed=0)
    chosen = [row for row, keep in zip(rows, kept, strict=True) if keep]
    return chosen, [row for row, keep in zip(rows, kept, strict=True) if not keep]


@dataclass(frozen=True)
class Trained:
    """What a training left behind.

    Args:
        subject: To score.
        seconds: Processor time of the training, on one thread.
    """

    subject: Subject
    seconds: float


def recipe_of(name: str, settings: Sequence[str] = ()) -> dict[str, Any]:
    """The stage `pretrain` of an objective's recipe, with `key.key=value` put into it."""
    stage: dict[str, Any] = yaml.safe_load((RECIPES / f"{name}.yaml").read_text(encoding="utf-8"))["stages"]["pretrain"]
    for setting in settings:
        path, _, value = setting.partition("=")
        *folders, key = path.split(".")
        place = stage
        for folder in folders:
            place = place[folder]
        place[key] = yaml.safe_load(value)
    return stage


@contextmanager
def trained(name: str, stage: dict[str, Any], pictures: Pictures, *, num_steps: int, seed: int) -> Iterator[Trained]:
    """Trains by a recipe's stage, but for so many steps, a tenth of them warm-up, on the training pictures."""
    torch.manual_seed(seed)
    encoder = build(stage["encoder"], ENCODER_CHOICE)
    objective = build(stage["objective"], OBJECTIVE_CHOICE, encoder=encoder)
    given = {key: value for key, value in stage["training"].items() if key not in ("epochs", "warmup_epochs")}
    settings = TrainSettings(
        **given, num_steps=num_steps, warmup_steps=num_steps // 10, watch_every=0, checkpoint_every_seconds=None
    )
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        train(
            objective,
            build(stage["view"], VIEW_CHOICE),
            pictures.of(TRAIN),
            out=Path(folder),
            settings=settings,
            seed=seed,
            encoder_spec=normalized(stage["encoder"]),
        )
        seconds = time.process_time() - began
        yield Trained(subject_of(str(folder), pictures, name=name, seed=seed), seconds)


def subject_of(reference: str, pictures: Pictures, *, name: str, seed: int, baseline: bool = False) -> Subject:
    """An encoder before the pictures."""
    loaded = load_encoder(reference, seed=seed)
    return Subject(loaded, DATASET, clips=pictures, name=name, run="benchmark", seed=seed, baseline=baseline)
