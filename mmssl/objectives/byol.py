"""BYOL: a network predicts what its teacher makes of another view; nothing repels."""

from collections.abc import Mapping
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from mmssl.functional.distillation import cosine_distance, cosine_momentum
from mmssl.models.encoder import Encoder
from mmssl.models.heads import ProjectionHead
from mmssl.models.teacher import Teacher
from mmssl.objectives.objective import Batch, Objective, Output


class BYOL(Objective):
    """Predicts the teacher's projection of each view from the other view; the losses of both directions are added.

    The predictor belongs to the network alone. The teacher's BatchNorm has statistics of its own passes.

    Args:
        encoder: See `Objective`.
        hidden_dim: Of projector and predictor.
        projection_dim: Length of the compared vectors.
        momentum: Of the teacher at first; it rises to 1 along half a cosine.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "byol"}
    source = "Grill et al. 2020, arXiv:2006.07733"
    units: ClassVar[Mapping[str, str]] = {"loss": "squared distance of unit vectors, both ways"}

    def __init__(
        self, encoder: Encoder, *, hidden_dim: int = 4096, projection_dim: int = 256, momentum: float = 0.996
    ) -> None:
        super().__init__(encoder)
        self.momentum = momentum
        self.projector = ProjectionHead(encoder.dim, hidden_dim, projection_dim)
        self.predictor = ProjectionHead(projection_dim, hidden_dim, projection_dim)
        self.teacher = Teacher(nn.Sequential(encoder, self.projector))

    def forward(self, batch: Batch) -> Output:
        """The loss of `view_1` and `view_2`, 0 to 8."""
        first, second = batch["view_1"], batch["view_2"]
        return {"loss": self._distance(first, second) + self._distance(second, first)}

    def after_step(self, output: Output, *, progress: float) -> None:
        """Moves the teacher."""
        momentum = cosine_momentum(progress, start=self.momentum)
        self.teacher.follow(nn.Sequential(self.encoder, self.projector), momentum=momentum)

    def _distance(
        self, seen: Float[Tensor, "batch 3 height width"], target: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, ""]:
        predictions = self.predictor(self.projector(self.encoder(seen)))
        return cosine_distance(predictions, self.teacher(target))
