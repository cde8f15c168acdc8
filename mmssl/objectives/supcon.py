"""Supervised contrast: images of one class attract each other, the others repel. The one objective here that needs labels."""

from typing import Any, ClassVar

import torch

from mmssl.functional.contrastive import supervised_contrastive
from mmssl.functional.gather import gather_with_gradient, rank_offset
from mmssl.models.encoder import Encoder
from mmssl.models.mlp import MLP
from mmssl.objectives.objective import Batch, Objective, Output


class SupCon(Objective):
    """Compares each view with every view of the batch, that of all processes; those of its class are positives.

    Args:
        encoder: See `Objective`.
        temperature: Of the softmax.
        hidden_dim: Of the projection head; the encoder's `dim` where not given.
        projection_dim: Length of the compared vectors.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "simclr"}
    source = "Khosla et al. 2020, arXiv:2004.11362"
    looks_across_batch = True
    needs_labels = True

    def __init__(
        self, encoder: Encoder, *, temperature: float = 0.1, hidden_dim: int | None = None, projection_dim: int = 128
    ) -> None:
        super().__init__(encoder)
        self.temperature = temperature
        self.head = MLP([encoder.dim, hidden_dim or encoder.dim, projection_dim], batchnorm=False)

    def forward(self, batch: Batch) -> Output:
        """The loss of `view_1` and `view_2`, whose classes are `labels`."""
        embeddings = torch.cat([self.head(self.encoder(batch[key])) for key in ("view_1", "view_2")])
        labels = batch["labels"].repeat(2)
        loss = supervised_contrastive(
            embeddings,
            labels,
            temperature=self.temperature,
            all_embeddings=gather_with_gradient(embeddings),
            all_labels=gather_with_gradient(labels[:, None].float())[:, 0].long(),
            offset=rank_offset(len(embeddings)),
        )
        return {"loss": loss}
