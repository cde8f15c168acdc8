"""VICReg: views agree, dimensions vary, and vary apart from each other."""

from collections.abc import Mapping
from typing import Any, ClassVar

from mmssl.functional.gather import gather_with_gradient
from mmssl.functional.redundancy import vicreg
from mmssl.models.encoder import Encoder
from mmssl.models.mlp import MLP
from mmssl.objectives.objective import Batch, Objective, Output


class VICReg(Objective):
    """Invariance, variance and covariance, over the batch of all processes.

    Args:
        encoder: See `Objective`.
        projection_dim: Of the expander's three layers.
        invariance_weight: See `functional.redundancy.vicreg`, like the other two.
        variance_weight: Of the hinge on the standard deviation.
        covariance_weight: Of the covariances.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "byol"}
    source = "Bardes, Ponce and LeCun 2022, arXiv:2105.04906"
    units: ClassVar[Mapping[str, str]] = {"loss": "weighted sum of three terms"}
    looks_across_batch = True

    def __init__(
        self,
        encoder: Encoder,
        *,
        projection_dim: int = 8192,
        invariance_weight: float = 25.0,
        variance_weight: float = 25.0,
        covariance_weight: float = 1.0,
    ) -> None:
        super().__init__(encoder)
        self.weights = {
            "invariance_weight": invariance_weight,
            "variance_weight": variance_weight,
            "covariance_weight": covariance_weight,
        }
        self.expander = MLP([encoder.dim, projection_dim, projection_dim, projection_dim], last_bias=False)

    def forward(self, batch: Batch) -> Output:
        """The loss of `view_1` and `view_2`."""
        a, b = (gather_with_gradient(self.expander(self.encoder(batch[key]))) for key in ("view_1", "view_2"))
        return {"loss": vicreg(a, b, **self.weights)}
