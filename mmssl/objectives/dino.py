"""DINO: a student says of every crop what its teacher says of the large ones."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mmssl.functional.distillation import cosine_momentum, dino_cross_entropy
from mmssl.functional.gather import gather_with_gradient
from mmssl.models.encoder import Encoder
from mmssl.models.prototype_head import PrototypeHead
from mmssl.models.teacher import Teacher
from mmssl.objectives.objective import Batch, Objective, Output


class DINO(Objective):
    """Cross-entropy of the student's answers with the teacher's, which are centered and sharpened.

    For transformers and convolutional networks alike. Times are shares of the whole training: 0.01 is one epoch of 100.

    Args:
        encoder: See `Objective`.
        num_prototypes: Length of an answer.
        hidden_dim: Of the head.
        bottleneck_dim: Of the head.
        batchnorm: Whether the head has BatchNorm.
        student_temperature: Of the student's softmax.
        teacher_temperature: Of the teacher's softmax, after the warm-up.
        first_teacher_temperature: Where it starts from.
        warmup_share: Until when the teacher's temperature goes from the one to the other in a straight line.
        frozen_share: Until when the last layer gets no gradient: the first epoch.
        momentum: Of the teacher at first; it rises to 1 along half a cosine.
        center_momentum: Of the center.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "dino"}
    source = "Caron et al. 2021, arXiv:2104.14294"
    units: ClassVar[Mapping[str, str]] = {"loss": "nats", "entropy": "nats"}

    center: Tensor
    done: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        num_prototypes: int = 65536,
        hidden_dim: int = 2048,
        bottleneck_dim: int = 256,
        batchnorm: bool = False,
        student_temperature: float = 0.1,
        teacher_temperature: float = 0.04,
        first_teacher_temperature: float = 0.04,
        warmup_share: float = 0.3,
        frozen_share: float = 0.01,
        momentum: float = 0.996,
        center_momentum: float = 0.9,
    ) -> None:
        super().__init__(encoder)
        self.student_temperature = student_temperature
        self.teacher_temperature = teacher_temperature
        self.first_teacher_temperature = first_teacher_temperature
        self.warmup_share = warmup_share
        self.frozen_share = frozen_share
        self.momentum = momentum
        self.center_momentum = center_momentum
        self.head = PrototypeHead(
            encoder.dim,
            hidden_dim=hidden_dim,
            bottleneck_dim=bottleneck_dim,
            num_prototypes=num_prototypes,
            batchnorm=batchnorm,
        )
        self.teacher = Teacher(nn.Sequential(encoder, self.head))
        self.register_buffer("center", torch.zeros(num_prototypes))
        self.register_buffer("done", torch.zeros((), dtype=torch.float64))

    def forward(self, batch: Batch) -> Output:
        """The loss of `global` and `local`, each `[batch, crops, 3, height, width]`; the teacher sees `global` alone.

        Returns:
            Also `answer_entropy`, that of the teacher's answers in nats, and `answers`, the teacher's scores of each item,
            the mean over its crops.
        """
        done = float(self.done)
        temperature = self._teacher_temperature(done)
        teacher = _rows_of_crops(self.teacher(_as_rows(batch["global"])), items=len(batch["global"]))
        student = [
            self.head(self.encoder(_as_rows(crops)), last_frozen=done < self.frozen_share)
            for crops in (batch["global"], batch["local"])
            if crops.shape[1]
        ]
        loss = dino_cross_entropy(
            _rows_of_crops(torch.cat(student), items=teacher.shape[1]),
            teacher,
            self.center,
            student_temperature=self.student_temperature,
            teacher_temperature=temperature,
        )
        certain = ((teacher.float() - self.center) / temperature).log_softmax(-1)
        entropy = -(certain.exp() * certain).sum(-1).mean()
        return {"loss": loss, "answer_entropy": entropy, "answers": teacher.float().mean(0)}

    @torch.no_grad()
    def after_step(self, output: Output, *, progress: float) -> None:
        """Moves the teacher, and the center towards the answers of all processes that were just used."""
        momentum = cosine_momentum(progress, start=self.momentum)
        self.teacher.follow(nn.Sequential(self.encoder, self.head), momentum=momentum)
        answer = gather_with_gradient(output["answers"].mean(0, keepdim=True)).mean(0)
        self.center.lerp_(answer.to(self.center.dtype), 1 - self.center_momentum)
        self.done.fill_(progress)

    def _teacher_temperature(self, done: float) -> float:
        share = min(1.0, done / self.warmup_share) if self.warmup_share > 0 else 1.0
        return self.first_teacher_temperature + share * (self.teacher_temperature - self.first_teacher_temperature)


def _as_rows(crops: Float[Tensor, "batch crops 3 height width"]) -> Float[Tensor, "rows 3 height width"]:
    """All items' first crops, then their second ones, and so on."""
    return crops.transpose(0, 1).flatten(0, 1)


def _rows_of_crops(rows: Float[Tensor, "rows dim"], *, items: int) -> Float[Tensor, "crops batch dim"]:
    return rows.reshape(-1, items, rows.shape[1])
