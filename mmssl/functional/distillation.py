"""Learning from a teacher: what the student is asked for, and how the teacher follows the student."""

import math
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


@torch.no_grad()
def ema_update(teacher: Iterable[Tensor], student: Iterable[Tensor], *, momentum: float) -> None:
    """Moves each tensor of the teacher towards the student's, in place: momentum x teacher + (1 - momentum) x student.

    Args:
        teacher: Tensors to move.
        student: As many, of the same shapes.
        momentum: 1 keeps the teacher as it is, 0 makes it a copy.

    Raises:
        ValueError: If momentum is not in 0..1, or the numbers of tensors differ.

    Source:
        Tarvainen and Valpola 2017, arXiv:1703.01780.
    """
    if not 0 <= momentum <= 1:
        raise ValueError(f"momentum must be in 0..1, got {momentum}")
    moved, towards = list(teacher), list(student)
    if len(moved) != len(towards):
        raise ValueError(f"the teacher has {len(moved)} tensors, the student {len(towards)}")
    torch._foreach_lerp_(moved, towards, 1 - momentum)


def cosine_momentum(progress: float, *, start: float, end: float = 1.0) -> float:
    """A teacher's momentum, which goes from `start` to `end` along half a cosine.

    Args:
        progress: Share of the training that is done, in 0..1.
        start: Momentum at 0.
        end: Momentum at 1.

    Source:
        Grill et al. 2020 (BYOL), arXiv:2006.07733, section 3.2.
    """
    return end - (end - start) * (math.cos(math.pi * progress) + 1) / 2


def cosine_distance(predictions: Float[Tensor, "batch dim"], targets: Float[Tensor, "batch dim"]) -> Float[Tensor, ""]:
    """Mean squared distance of L2-normalised vectors: 2 - 2 x cosine similarity, 0 to 4. No gradient reaches the targets.

    Source:
        Grill et al. 2020 (BYOL), arXiv:2006.07733, eq. 2.
    """
    return 2 - 2 * functional.cosine_similarity(predictions.float(), targets.detach().float()).mean()


def dino_cross_entropy(
    student: Float[Tensor, "student_views batch dim"],
    teacher: Float[Tensor, "teacher_views batch dim"],
    center: Float[Tensor, " dim"],
    *,
    student_temperature: float,
    teacher_temperature: float,
) -> Float[Tensor, ""]:
    """Cross-entropy of the student's answer to each view with the teacher's to every other view.

    Args:
        student: Scores; the first `teacher_views` are of the views that the teacher sees, in the same order.
        teacher: Scores, which get no gradient.
        center: Subtracted from the teacher's scores.
        student_temperature: Divides the student's scores.
        teacher_temperature: Divides the teacher's; smaller than the student's, so that its answers are sharper.

    Returns:
        Mean in nats over items and pairs of different views; log(dim) where all scores are equal.

    Raises:
        ValueError: If a temperature is not positive, or there is no pair of different views.

    Source:
        Caron et al. 2021 (DINO), arXiv:2104.14294, eq. 3 and algorithm 1.
    """
    for name, temperature in (("student", student_temperature), ("teacher", teacher_temperature)):
        if not temperature > 0:
            raise ValueError(f"{name}_temperature must be positive, got {temperature}")
    pairs = len(student) * len(teacher) - min(len(student), len(teacher))
    if pairs == 0:
        raise ValueError(
            f"{len(teacher)} teacher views and {len(student)} student views are no pair of different views"
        )
    targets = functional.softmax((teacher.detach().float() - center) / teacher_temperature, dim=-1)
    answers = functional.log_softmax(student.float() / student_temperature, dim=-1)
    by_pair = torch.stack([-(target * answers).sum((1, 2)) for target in targets])
    different = 1 - torch.eye(*by_pair.shape, device=by_pair.device, dtype=by_pair.dtype)
    return (by_pair * different).sum() / (pairs * student.shape[1])
