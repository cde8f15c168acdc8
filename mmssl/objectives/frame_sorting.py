"""Frame sorting: in which order shuffled frames were filmed."""

from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mmssl.errors import ConfigError
from mmssl.functional.order import all_orders, sorting_orders
from mmssl.models.encoder import Encoder
from mmssl.models.heads import DifferenceHead, PairHead
from mmssl.objectives.objective import Batch, Objective, Output

_PIXELS_A_CLASS = 16


class FrameSorting(Objective):
    """Names the order of four shuffled frames among twelve; forward and backward count as one.

    Each frame is embedded once, and the embeddings, less the mean over the clip, are shown to the head in all 24 orders: it sees
    what changes, at its own scale.

    Args:
        encoder: See `Objective`; the same for all frames.
        num_frames: Frames to sort; as many as the view gives.
        hidden_dim: Of the head; in the paper's, of each pair.
        compare: What the head sees: the `embeddings` of each pair, as in the paper, or their absolute `differences`, with which
            it learns sooner.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "ordered_frames", "num_frames": 4}
    source = "Lee et al. 2017 (OPN), arXiv:1708.01246"

    classes: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        num_frames: int = 4,
        hidden_dim: int = 128,
        compare: Literal["differences", "embeddings"] = "differences",
    ) -> None:
        super().__init__(encoder)
        self.num_frames = num_frames
        classes = sorting_orders(num_frames)[1]
        self.register_buffer("classes", classes, persistent=False)
        self.normalize = nn.BatchNorm1d(encoder.dim)
        heads = {"differences": DifferenceHead, "embeddings": PairHead}
        self.head = heads[compare](
            encoder.dim, num_frames=num_frames, hidden_dim=hidden_dim, num_answers=int(classes.max()) + 1
        )

    @property
    def guesses(self) -> dict[str, float]:
        """One of the classes."""
        return {"accuracy": 1 / (int(self.classes.max()) + 1)}

    def forward(self, batch: Batch) -> Output:
        """The loss of `frames`, ascending in time: cross-entropy of the order's class.

        Returns:
            Also `accuracy`, the share of orders that are named right.

        Raises:
            ConfigError: If the view gives another number of frames.
        """
        logits = self._logits(batch["frames"])
        classes = self.classes.expand(len(logits), -1)
        loss = functional.cross_entropy(logits.flatten(0, 1), classes.flatten())
        return {"loss": loss, "accuracy": (logits.detach().argmax(-1) == classes).float().mean()}

    def _pictures(self, batch: Batch) -> dict[str, Float[Tensor, "3 height width"]]:
        """How often each order (row) is taken for each (column), white for always."""
        found = self._logits(batch["frames"]).argmax(-1)
        count = int(self.classes.max()) + 1
        confusion = torch.zeros(count, count, device=found.device)
        pairs = (self.classes.expand_as(found).flatten(), found.flatten())
        confusion.index_put_(pairs, torch.ones((), device=found.device), accumulate=True)
        shares = confusion / confusion.sum(1, keepdim=True)
        enlarged = shares.repeat_interleave(_PIXELS_A_CLASS, 0).repeat_interleave(_PIXELS_A_CLASS, 1)
        return {"true order (row) and answer (column)": enlarged.expand(3, -1, -1)}

    def _logits(self, frames: Float[Tensor, "batch frames 3 height width"]) -> Float[Tensor, "batch orders classes"]:
        if frames.shape[1] != self.num_frames:
            raise ConfigError(
                f"frame_sorting sorts {self.num_frames} frames, its view gives {frames.shape[1]}; set num_frames of both alike"
            )
        embeddings = self.encoder(frames.flatten(0, 1)).reshape(*frames.shape[:2], -1)
        changes = self.normalize((embeddings - embeddings.mean(1, keepdim=True)).flatten(0, 1)).view_as(embeddings)
        logits: Tensor = self.head(all_orders(changes))
        return logits
