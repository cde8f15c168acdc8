"""SimCLR: two views of one image attract each other, all other images repel."""

from typing import Any, ClassVar

from mmssl.functional.contrastive import nt_xent
from mmssl.functional.gather import gather_with_gradient, rank_offset
from mmssl.models.encoder import Encoder
from mmssl.models.heads import ProjectionHead
from mmssl.objectives.objective import Batch, Objective, Output


class SimCLR(Objective):
    """Compares each view with every view of the batch, that of all processes.

    Args:
        encoder: See `Objective`.
        temperature: Of the softmax; 0.1, and 0.5 for CIFAR.
        hidden_dim: Of the projection head; the encoder's `dim` where not given.
        projection_dim: Length of the compared vectors.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "simclr"}
    source = "Chen et al. 2020, arXiv:2002.05709"
    looks_across_batch = True

    def __init__(
        self, encoder: Encoder, *, temperature: float = 0.1, hidden_dim: int | None = None, projection_dim: int = 128
    ) -> None:
        super().__init__(encoder)
        self.temperature = temperature
        self.head = ProjectionHead(encoder.dim, hidden_dim or encoder.dim, projection_dim)

    def forward(self, batch: Batch) -> Output:
        """The loss of `view_1` and `view_2`."""
        a, b = (self.head(self.encoder(batch[key])) for key in ("view_1", "view_2"))
        loss = nt_xent(
            a,
            b,
            temperature=self.temperature,
            all_a=gather_with_gradient(a),
            all_b=gather_with_gradient(b),
            offset=rank_offset(len(a)),
        )
        return {"loss": loss}
