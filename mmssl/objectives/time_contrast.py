"""Time contrast: embeddings of neighboring moments attract each other, those of other moments and videos repel."""

from typing import Any, ClassVar

from mmssl.functional.gather import gather_with_gradient, rank_offset
from mmssl.functional.time_contrast import time_contrast_loss
from mmssl.models.encoder import Encoder
from mmssl.models.heads import ProjectionHead
from mmssl.objectives.objective import Batch, Objective, Output


class TimeContrast(Objective):
    """Finds the frame near an anchor in time among far frames of its own video and all frames of others.

    Args:
        encoder: See `Objective`.
        temperature: Of the softmax.
        hidden_dim: Of the projection head; the encoder's `dim` where not given.
        projection_dim: Length of the compared vectors.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "time_contrast"}
    source = "Sermanet et al. 2018 (TCN, single view), arXiv:1704.06888"
    looks_across_batch = True

    def __init__(
        self, encoder: Encoder, *, temperature: float = 0.1, hidden_dim: int | None = None, projection_dim: int = 64
    ) -> None:
        super().__init__(encoder)
        self.temperature = temperature
        self.head = ProjectionHead(encoder.dim, hidden_dim or encoder.dim, projection_dim)

    def forward(self, batch: Batch) -> Output:
        """The loss of `frames`: anchor, near and far ones of each clip.

        Returns:
            Also `accuracy`, the share of anchors that are closer to their near frame than to each of their own far ones.
        """
        frames = batch["frames"]
        projections = self.head(self.encoder(frames.flatten(0, 1)))
        everyone = gather_with_gradient(projections).reshape(-1, frames.shape[1], projections.shape[1])
        loss, accuracy = time_contrast_loss(
            projections[:: frames.shape[1]],
            everyone[:, 1],
            everyone[:, 2:],
            temperature=self.temperature,
            offset=rank_offset(len(frames)),
        )
        return {"loss": loss, "accuracy": accuracy.detach()}
