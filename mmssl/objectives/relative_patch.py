"""Relative patch position: on which side of a patch does its neighbour lie?"""

from typing import Any, ClassVar

from torch.nn import functional

from mmssl.models.encoder import Encoder
from mmssl.models.heads import TupleHead
from mmssl.objectives.objective import Batch, Objective, Output


class RelativePatch(Objective):
    """Embeds the middle patch and a neighbour by one network, and answers one of eight places.

    Args:
        encoder: See `Objective`.
        hidden_dim: Of the head.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "relative_patch"}
    source = "Doersch, Gupta and Efros 2015, arXiv:1505.05192"

    def __init__(self, encoder: Encoder, *, hidden_dim: int = 512) -> None:
        super().__init__(encoder)
        self.head = TupleHead(encoder.dim, num_frames=2, hidden_dim=hidden_dim, num_answers=8)

    def forward(self, batch: Batch) -> Output:
        """The loss of `pair`, `[batch, 2, 3, size, size]`, whose second patch is at `place`; also `accuracy`."""
        pair, place = batch["pair"], batch["place"]
        logits = self.head(self.encoder(pair.flatten(0, 1)).reshape(*pair.shape[:2], -1))
        accuracy = (logits.detach().argmax(1) == place).float().mean()
        return {"loss": functional.cross_entropy(logits, place), "accuracy": accuracy}
