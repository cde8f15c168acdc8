import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from mmssl.functional.distillation import cosine_distance, cosine_momentum, dino_cross_entropy, ema_update


def dino_by_loops(student: Tensor, teacher: Tensor, center: Tensor, cool: float, sharp: float) -> float:
    terms = []
    for t, seen_by_teacher in enumerate(teacher):
        for s, seen_by_student in enumerate(student):
            if s == t:
                continue
            for item in range(student.shape[1]):
                wanted = [math.exp((x - c) / sharp) for x, c in zip(seen_by_teacher[item], center, strict=True)]
                given = [math.exp(x / cool) for x in seen_by_student[item]]
                pairs = zip(wanted, given, strict=True)
                terms.append(-sum(w / sum(wanted) * math.log(g / sum(given)) for w, g in pairs))
    return sum(terms) / len(terms)


@pytest.mark.parametrize(("teachers", "students"), [(2, 2), (2, 5), (1, 3)])
def test_dino_matches_loops(teachers: int, students: int) -> None:
    student, teacher, center = torch.randn(students, 3, 4), torch.randn(teachers, 3, 4), torch.randn(4)
    loss = dino_cross_entropy(student, teacher, center, student_temperature=0.5, teacher_temperature=0.3)
    assert loss.item() == pytest.approx(dino_by_loops(student, teacher, center, 0.5, 0.3), rel=1e-5)


def test_dino_known_value_and_order_of_items_and_dimensions() -> None:
    temperatures = {"student_temperature": 0.1, "teacher_temperature": 0.04}
    even = torch.ones(4, 3, 8)
    assert_close(dino_cross_entropy(even, even[:2], torch.zeros(8), **temperatures).item(), math.log(8))
    student, teacher, center = torch.randn(4, 5, 8), torch.randn(2, 5, 8), torch.randn(8)
    loss = dino_cross_entropy(student, teacher, center, **temperatures)
    items, dims = torch.randperm(5), torch.randperm(8)
    moved = dino_cross_entropy(student[:, items][..., dims], teacher[:, items][..., dims], center[dims], **temperatures)
    assert_close(moved, loss)


def test_dino_skips_pairs_of_one_view_and_gives_the_teacher_no_gradient() -> None:
    student, teacher = torch.zeros(2, 1, 3, requires_grad=True), torch.zeros(2, 1, 3, requires_grad=True)
    temperatures = {"student_temperature": 0.1, "teacher_temperature": 0.1}
    sharp = teacher + torch.tensor([[[5.0, 0, 0]], [[0, 5.0, 0]]])
    dino_cross_entropy(student, sharp, torch.zeros(3), **temperatures).backward()
    assert teacher.grad is None
    assert student.grad is not None
    assert student.grad[0, 0].argmin() == 1
    assert student.grad[1, 0].argmin() == 0
    with pytest.raises(ValueError, match="no pair"):
        dino_cross_entropy(student[:1], teacher[:1], torch.zeros(3), **temperatures)
    for name in temperatures:
        with pytest.raises(ValueError, match=name):
            dino_cross_entropy(student, teacher, torch.zeros(3), **(temperatures | {name: 0.0}))


def test_ema_matches_one_number_at_a_time() -> None:
    teacher, student = [torch.randn(2, 3), torch.randn(4)], [torch.randn(2, 3), torch.randn(4)]
    wanted = [
        torch.tensor([0.9 * t + 0.1 * s for t, s in zip(a.flatten().tolist(), b.flatten().tolist(), strict=True)])
        for a, b in zip(teacher, student, strict=True)
    ]
    ema_update(teacher, student, momentum=0.9)
    for moved, right in zip(teacher, wanted, strict=True):
        assert_close(moved.flatten(), right)
    before = [one.clone() for one in teacher]
    ema_update(teacher, student, momentum=1.0)
    assert all(torch.equal(a, b) for a, b in zip(teacher, before, strict=True))
    ema_update(teacher, student, momentum=0.0)
    assert all(torch.equal(a, b) for a, b in zip(teacher, student, strict=True))
    with pytest.raises(ValueError, match=r"0\.\.1"):
        ema_update(teacher, student, momentum=1.1)
    with pytest.raises(ValueError, match="2 tensors"):
        ema_update(teacher, student[:1], momentum=0.5)


def test_momentum_goes_from_start_to_end() -> None:
    assert cosine_momentum(0.0, start=0.996) == pytest.approx(0.996)
    assert cosine_momentum(0.5, start=0.996) == pytest.approx(0.998)
    assert cosine_momentum(1.0, start=0.996) == 1.0


def test_cosine_distance_is_that_of_unit_vectors() -> None:
    predictions, targets = torch.randn(5, 3, requires_grad=True), torch.randn(5, 3, requires_grad=True)
    units = [one / one.norm(dim=1, keepdim=True) for one in (predictions, targets)]
    loss = cosine_distance(predictions, targets)
    assert_close(loss, (units[0] - units[1]).square().sum(1).mean())
    assert_close(cosine_distance(predictions, -2 * predictions).item(), 4.0)
    loss.backward()
    assert targets.grad is None
