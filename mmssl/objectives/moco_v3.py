"""MoCo v3: each view must find the other's key among the keys of its batch; no queue."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from jaxtyping import Float
from torch import Tensor, nn

from mmssl.functional.contrastive import info_nce
from mmssl.functional.distillation import cosine_momentum
from mmssl.functional.gather import gather_with_gradient, rank_offset
from mmssl.models.encoder import Encoder
from mmssl.models.mlp import MLP
from mmssl.models.teacher import Teacher
from mmssl.objectives.objective import Batch, Objective, Output


class MoCoV3(Objective):
    """Compares predictions of an encoder with keys of its teacher, both ways, with all keys of all processes.

    Args:
        encoder: See `Objective`.
        temperature: Of the softmax; 1 for ResNets, 0.2 for vision transformers.
        heads: Those of the paper's ResNets or of its vision transformers.
        hidden_dim: Of the heads.
        projection_dim: Length of the compared vectors.
        momentum: Of the teacher at first; it rises to 1 along half a cosine.
        freeze_patch_embedding: Whether an encoder's module `patch_embed` keeps its random weights, without which
            training transformers is unstable.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "byol"}
    source = "Chen, Xie and He 2021, arXiv:2104.02057"
    units: ClassVar[Mapping[str, str]] = {"loss": "nats x 2 x temperature"}
    looks_across_batch = True

    def __init__(
        self,
        encoder: Encoder,
        *,
        temperature: float = 1.0,
        heads: Literal["resnet", "vit"] = "resnet",
        hidden_dim: int = 4096,
        projection_dim: int = 256,
        momentum: float = 0.99,
        freeze_patch_embedding: bool = True,
    ) -> None:
        super().__init__(encoder)
        self.temperature = temperature
        self.momentum = momentum
        hidden = [hidden_dim] * (1 if heads == "resnet" else 2)
        self.projector = MLP([encoder.dim, *hidden, projection_dim], last_batchnorm=True)
        self.predictor = MLP(
            [projection_dim, hidden_dim, projection_dim], last_batchnorm=heads == "vit", last_bias=False
        )
        self.teacher = Teacher(nn.Sequential(encoder, self.projector))
        if freeze_patch_embedding:
            for name, module in encoder.named_modules():
                if name.rpartition(".")[2] == "patch_embed":
                    module.requires_grad_(False)

    def forward(self, batch: Batch) -> Output:
        """The loss of `view_1` and `view_2`: cross-entropy both ways, times 2 x temperature."""
        first, second = batch["view_1"], batch["view_2"]
        both = self._contrast(first, second) + self._contrast(second, first)
        return {"loss": 2 * self.temperature * both}

    def after_step(self, output: Output, *, progress: float) -> None:
        """Moves the teacher."""
        momentum = cosine_momentum(progress, start=self.momentum)
        self.teacher.follow(nn.Sequential(self.encoder, self.projector), momentum=momentum)

    def _contrast(
        self, asked: Float[Tensor, "batch 3 height width"], found: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, ""]:
        queries = self.predictor(self.projector(self.encoder(asked)))
        keys = gather_with_gradient(self.teacher(found))
        return info_nce(queries, keys, temperature=self.temperature, offset=rank_offset(len(queries)))
