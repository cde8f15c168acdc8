"""Clips, a view and objectives that train in milliseconds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mmssl.config import build
from mmssl.data.dataset import ClipItem
from mmssl.functional.gather import gather_with_gradient, rank_offset
from mmssl.functional.random import ItemRandom
from mmssl.models import ENCODER_CHOICE
from mmssl.objectives.objective import Batch, Objective, Output
from mmssl.objectives.simclr import SimCLR
from mmssl.training.loop import train
from mmssl.training.settings import TrainSettings

SPEC = {"name": "small_resnet", "width": 2, "feature_dim": 4, "num_blocks": [1, 1]}


class TinyClips:
    """Random clips, one frame each."""

    def __init__(self, count: int = 22) -> None:
        self._pixels = torch.randint(
            0, 256, (count, 1, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(5)
        )

    @property
    def items(self) -> Sequence[ClipItem]:
        return [ClipItem(f"r{i}#0", f"r{i}", None, "train", f"r{i}", None, (0.0,)) for i in range(len(self))]

    @property
    def digest(self) -> str:
        return f"tiny {len(self)}"

    def __len__(self) -> int:
        return len(self._pixels)

    def clips(self, indices: Sequence[int], *, epoch: int = 0) -> Tensor:
        return self._pixels[list(indices)]


def noisy_view(clips: Tensor, random: ItemRandom) -> dict[str, Tensor]:
    """Two noisy copies of each first frame, and what each is."""
    images = clips[:, 0].float() / 255
    copies = [images + 0.1 * random.uniform(name, tuple(images.shape[1:])) for name in ("a", "b")]
    return {"a": copies[0].clamp(0, 1), "b": copies[1].clamp(0, 1), "first": clips[:, 0, 0, 0, 0].float()}


def double_view(clips: Tensor, random: ItemRandom) -> dict[str, Tensor]:
    """The same in double precision."""
    return {name: value.double() for name, value in noisy_view(clips, random).items()}


class MeanObjective(Objective):
    """A mean over items, with dropout, a buffer that moves after each step, and one that `prepare` fills."""

    def __init__(self, encoder: Any, *, dropout: float = 0.0) -> None:
        super().__init__(encoder)
        self.head = nn.Linear(encoder.dim, 3)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("center", torch.zeros(3))
        self.register_buffer("queue", torch.zeros(7))
        self.register_buffer("prepared", torch.zeros(()))

    def prepare(self, batch: Batch) -> None:
        self.prepared += batch["first"].mean()

    def forward(self, batch: Batch) -> Output:
        out = self.head(self.dropout(self.encoder(batch["a"])))
        other = self.head(self.dropout(self.encoder(batch["b"])))
        target = batch["first"][:, None] / 255 + 0.01 * self.center + 1e-5 * self.prepared
        loss = (out - target).square().mean() + 0.1 * (out - other).square().mean()
        return {"loss": loss, "accuracy": (out > 0).double().mean(), "out": out}

    def after_step(self, output: Output, *, progress: float) -> None:
        every = gather_with_gradient(output["out"])
        self.center.lerp_(every.mean(0), 0.1 * progress)
        self.queue.copy_(torch.cat([every[:, 0], self.queue])[:7])


class ContrastObjective(Objective):
    """Tells each item's other view from those of all items of all ranks."""

    looks_across_batch = True

    def __init__(self, encoder: Any) -> None:
        super().__init__(encoder)
        self.head = nn.Sequential(nn.Linear(encoder.dim, 5), nn.BatchNorm1d(5))
        self.log_scale = nn.Parameter(torch.zeros(()))

    def forward(self, batch: Batch) -> Output:
        a, b = (functional.normalize(self.head(self.encoder(batch[name]))) for name in ("a", "b"))
        logits = self.log_scale.exp() * a @ gather_with_gradient(b).T
        return {"loss": functional.cross_entropy(logits, torch.arange(len(a)) + rank_offset(len(a)))}


class TinySimCLR(SimCLR):
    """SimCLR on the same two copies."""

    def forward(self, batch: Batch) -> Output:
        return super().forward({"view_1": batch["a"], "view_2": batch["b"]})


OBJECTIVES = {"mean": MeanObjective, "contrast": ContrastObjective, "simclr": TinySimCLR}


def run(
    out: Path, name: str = "mean", *, double: bool = False, clips: int = 22, objective: Any = None, **settings: Any
) -> Objective:
    """Trains into a folder, from weights that are always the same."""
    torch.manual_seed(1)
    if objective is None:
        extra = {"dropout": 0.2} if name == "mean" and not double else {}
        objective = OBJECTIVES[name](build(SPEC, ENCODER_CHOICE), **extra)
    objective = objective.double() if double else objective
    chosen = {
        "batch_size": 4,
        "epochs": 3,
        "log_every": 2,
        "watch_every": 5,
        "checkpoint_every_seconds": None,
    } | settings
    train(
        objective,
        double_view if double else noisy_view,
        TinyClips(clips),
        out=out,
        settings=TrainSettings(**chosen),
        seed=3,
        encoder_spec=SPEC,
    )
    return objective
