"""SimSiam: each view predicts the other's projection, which is taken as it is; no teacher, nothing repels."""

from collections.abc import Mapping
from typing import Any, ClassVar

from mmssl.functional.distillation import cosine_distance
from mmssl.models.encoder import Encoder
from mmssl.models.mlp import MLP
from mmssl.objectives.objective import Batch, Objective, Output


class SimSiam(Objective):
    """The mean over both directions of minus the cosine of prediction and projection, which gets no gradient.

    The predictor's learning rate follows the schedule of all others; the paper keeps it constant.

    Args:
        encoder: See `Objective`.
        hidden_dim: Of the projector; also the length of the compared vectors.
        predictor_dim: Of the predictor's bottleneck, a quarter of that.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "moco_v2"}
    source = "Chen and He 2021, arXiv:2011.10566"
    units: ClassVar[Mapping[str, str]] = {"loss": "negative cosine similarity"}

    def __init__(self, encoder: Encoder, *, hidden_dim: int = 2048, predictor_dim: int = 512) -> None:
        super().__init__(encoder)
        self.projector = MLP([encoder.dim, hidden_dim, hidden_dim, hidden_dim], last_batchnorm=True)
        self.predictor = MLP([hidden_dim, predictor_dim, hidden_dim])

    def forward(self, batch: Batch) -> Output:
        """The loss of `view_1` and `view_2`, from -1 to 1."""
        a, b = (self.projector(self.encoder(batch[key])) for key in ("view_1", "view_2"))
        distance = (cosine_distance(self.predictor(a), b) + cosine_distance(self.predictor(b), a)) / 2
        return {"loss": distance / 2 - 1}
