"""Rotation: by how many quarter turns was an image turned?"""

from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from mmssl.models.encoder import Encoder
from mmssl.objectives.objective import Batch, Objective, Output


class Rotation(Objective):
    """All four rotations of every image are in one batch; a linear layer tells them apart.

    Args:
        encoder: See `Objective`.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "rotation"}
    source = "Gidaris, Singh and Komodakis 2018, arXiv:1803.07728"

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder)
        self.classifier = nn.Linear(encoder.dim, 4)

    def forward(self, batch: Batch) -> Output:
        """The loss of `rotated`, `[batch, 4, 3, size, size]`; also `accuracy`."""
        rotated = batch["rotated"]
        turns = torch.arange(rotated.shape[1], device=rotated.device).repeat(len(rotated))
        logits = self.classifier(self.encoder(rotated.flatten(0, 1)))
        accuracy = (logits.detach().argmax(1) == turns).float().mean()
        return {"loss": functional.cross_entropy(logits, turns), "accuracy": accuracy}
