"""MoCo v1 and v2: a query must find its key among the keys of a queue, which a slowly moving copy of the encoder made."""

from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mmssl.functional.contrastive import moco_logits
from mmssl.functional.gather import gather_with_gradient
from mmssl.models.encoder import Encoder
from mmssl.models.grouped_batchnorm import group_batchnorm
from mmssl.models.mlp import MLP
from mmssl.models.queue import KeyQueue
from mmssl.models.teacher import Teacher
from mmssl.objectives.objective import Batch, Objective, Output


class _MomentumContrast(Objective):
    """The body of both: head, key encoder, queue and loss. Groups the BatchNorm of the encoder it is given.

    Args:
        encoder: See `Objective`.
        head: From the encoder's embeddings to the compared vectors.
        projection_dim: Length of the compared vectors.
        temperature: See `MoCoV2`, like all that follow.
        queue_length: Of keys.
        momentum: Of the key encoder.
        norm_groups: Of queries and of keys.
        symmetric: Whether both views ask.
    """

    def __init__(
        self,
        encoder: Encoder,
        head: MLP,
        *,
        projection_dim: int,
        temperature: float,
        queue_length: int,
        momentum: float,
        norm_groups: int,
        symmetric: bool = False,
    ) -> None:
        super().__init__(encoder)
        self.head = head
        self.temperature = temperature
        self.momentum = momentum
        self.symmetric = symmetric
        self.teacher = Teacher(nn.Sequential(encoder, head))
        self.queue = KeyQueue(queue_length, projection_dim)
        group_batchnorm(encoder, norm_groups, interleaved=False)
        group_batchnorm(self.teacher, norm_groups, interleaved=True)

    def forward(self, batch: Batch) -> Output:
        """The loss of `view_1` as queries and `view_2` as keys, and the other way where `symmetric`.

        Also `accuracy`, the share of keys that were found; the keys go into the queue only after the step.
        """
        output = self._found(batch["view_1"], batch["view_2"])
        if not self.symmetric:
            return output
        back = self._found(batch["view_2"], batch["view_1"])
        return {
            "loss": output["loss"] + back["loss"],
            "accuracy": (output["accuracy"] + back["accuracy"]) / 2,
            "keys": output["keys"],
            "keys_back": back["keys"],
        }

    @torch.no_grad()
    def after_step(self, output: Output, *, progress: float) -> None:
        """Enqueues the keys of all processes; moves the key encoder towards the query encoder."""
        for name in ("keys", "keys_back"):
            if name in output:
                self.queue.enqueue(gather_with_gradient(output[name]))
        self.teacher.follow(nn.Sequential(self.encoder, self.head), momentum=self.momentum)

    def _found(
        self, asked: Float[Tensor, "batch 3 height width"], sought: Float[Tensor, "batch 3 height width"]
    ) -> Output:
        queries, keys = self.head(self.encoder(asked)), self.teacher(sought)
        logits = moco_logits(queries, keys, self.queue.keys, temperature=self.temperature)
        loss = functional.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.int64, device=logits.device))
        found = (logits.detach().argmax(1) == 0).float().mean()
        return {"loss": loss, "accuracy": found, "keys": keys}


class MoCoV1(_MomentumContrast):
    """Momentum contrast with a linear head.

    Args:
        encoder: See `Objective`.
        temperature: Of the softmax.
        projection_dim: Length of the compared vectors.
        queue_length: Keys of earlier batches that are negatives; for CIFAR 4096.
        momentum: Of the key encoder.
        norm_groups: Parts of a batch that BatchNorm treats apart, other parts for queries than for keys: a query could
            otherwise know its key by the statistics they share.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "moco_v1"}
    source = "He et al. 2020, arXiv:1911.05722"

    def __init__(
        self,
        encoder: Encoder,
        *,
        temperature: float = 0.07,
        projection_dim: int = 128,
        queue_length: int = 65536,
        momentum: float = 0.999,
        norm_groups: int = 8,
    ) -> None:
        super().__init__(
            encoder,
            MLP([encoder.dim, projection_dim]),
            projection_dim=projection_dim,
            temperature=temperature,
            queue_length=queue_length,
            momentum=momentum,
            norm_groups=norm_groups,
        )


class MoCoV2(_MomentumContrast):
    """Momentum contrast with a head of two layers; stronger views and a higher temperature are what else v2 changes.

    Args:
        encoder: See `Objective`.
        temperature: Of the softmax.
        hidden_dim: Of the head; the encoder's `dim` where not given.
        projection_dim: Length of the compared vectors.
        queue_length: Keys of earlier batches that are negatives; for CIFAR 4096.
        momentum: Of the key encoder.
        norm_groups: See `MoCoV1`.
        symmetric: Whether each view asks for the key of the other and both losses are added, as the authors do for CIFAR: a
            step costs twice as much, and fewer of them are needed.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "moco_v2"}
    source = "Chen et al. 2020, arXiv:2003.04297"

    def __init__(
        self,
        encoder: Encoder,
        *,
        temperature: float = 0.2,
        hidden_dim: int | None = None,
        projection_dim: int = 128,
        queue_length: int = 65536,
        momentum: float = 0.999,
        norm_groups: int = 8,
        symmetric: bool = False,
    ) -> None:
        super().__init__(
            encoder,
            MLP([encoder.dim, hidden_dim or encoder.dim, projection_dim], batchnorm=False),
            projection_dim=projection_dim,
            temperature=temperature,
            queue_length=queue_length,
            momentum=momentum,
            norm_groups=norm_groups,
            symmetric=symmetric,
        )
