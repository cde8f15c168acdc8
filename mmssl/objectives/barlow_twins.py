"""Barlow Twins: dimensions of two views correlate with themselves and with no other."""

from collections.abc import Mapping
from typing import Any, ClassVar

from mmssl.functional.gather import gather_with_gradient
from mmssl.functional.redundancy import barlow_twins
from mmssl.models.encoder import Encoder
from mmssl.models.mlp import MLP
from mmssl.objectives.objective import Batch, Objective, Output


class BarlowTwins(Objective):
    """The cross-correlation of two views, over the batch of all processes, becomes the identity.

    Args:
        encoder: See `Objective`.
        projection_dim: Of the projector's three layers, and so the number of dimensions that are decorrelated.
        redundancy_weight: See `functional.redundancy.barlow_twins`.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "byol"}
    source = "Zbontar et al. 2021, arXiv:2103.03230"
    units: ClassVar[Mapping[str, str]] = {"loss": "sum of squared deviations"}
    looks_across_batch = True

    def __init__(self, encoder: Encoder, *, projection_dim: int = 8192, redundancy_weight: float = 5e-3) -> None:
        super().__init__(encoder)
        self.redundancy_weight = redundancy_weight
        self.projector = MLP([encoder.dim, projection_dim, projection_dim, projection_dim], last_bias=False)

    def forward(self, batch: Batch) -> Output:
        """The loss of `view_1` and `view_2`."""
        a, b = (gather_with_gradient(self.projector(self.encoder(batch[key]))) for key in ("view_1", "view_2"))
        return {"loss": barlow_twins(a, b, redundancy_weight=self.redundancy_weight)}
