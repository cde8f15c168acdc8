"""The same tensors give the same losses as lightly 1.6.0, another implementation of the same papers."""

import warnings

import pytest
import torch
from torch.testing import assert_close

pytest.importorskip("lightly", reason="lightly is a development dependency")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lightly.loss import BarlowTwinsLoss, DINOLoss, NegativeCosineSimilarity, NTXentLoss, VICRegLoss

from mmssl.functional.contrastive import moco_logits, nt_xent
from mmssl.functional.distillation import cosine_distance, dino_cross_entropy
from mmssl.functional.redundancy import barlow_twins, vicreg
from mmssl.models.queue import KeyQueue

CLOSE = {"atol": 1e-5, "rtol": 1e-5}


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(16, 32), torch.randn(16, 32)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_nt_xent(pair: tuple[torch.Tensor, torch.Tensor], temperature: float) -> None:
    a, b = pair
    assert_close(nt_xent(a, b, temperature=temperature), NTXentLoss(temperature=temperature)(a, b), **CLOSE)


def test_dino_and_its_center_over_two_steps() -> None:
    theirs, center = DINOLoss(output_dim=24, teacher_temp=0.04, student_temp=0.1, center_momentum=0.9), torch.zeros(24)
    for _ in range(2):
        student, teacher = torch.randn(5, 6, 24), torch.randn(2, 6, 24)
        ours = dino_cross_entropy(student, teacher, center, student_temperature=0.1, teacher_temperature=0.04)
        assert_close(ours, theirs(list(teacher), list(student)), **CLOSE)
        center = 0.9 * center + 0.1 * teacher.mean((0, 1))
        assert_close(center, theirs.center[0, 0], **CLOSE)


def test_byol_is_twice_lightlys_sum_of_both_directions(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    """The paper's loss is 2 - 2 x cosine, the sum over both directions; lightly's is minus the cosine, the same sum."""
    a, b = pair
    theirs = NegativeCosineSimilarity()
    ours = cosine_distance(a, b) + cosine_distance(b.flip(1), a)
    assert_close(ours, 4 + 2 * (theirs(a, b) + theirs(b.flip(1), a)), **CLOSE)


def test_barlow_twins(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    assert_close(barlow_twins(*pair), BarlowTwinsLoss()(*pair), **CLOSE)


def test_vicreg(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    assert_close(vicreg(*pair), VICRegLoss()(*pair), **CLOSE)


def test_moco_logits_over_six_steps() -> None:
    """lightly's queue drops keys that reach over its end, so that here its length is a multiple of the batch."""
    theirs, queue = NTXentLoss(temperature=0.2, memory_bank_size=(32, 8)), KeyQueue(32, 8)
    theirs.memory_bank.bank = queue.keys.clone()
    theirs.memory_bank.bank_ptr = torch.zeros(1, dtype=torch.int64)
    for _ in range(6):
        queries, keys = torch.randn(8, 8, requires_grad=True), torch.randn(8, 8)
        logits = moco_logits(queries, keys, queue.keys, temperature=0.2)
        ours = torch.nn.functional.cross_entropy(logits, torch.zeros(8, dtype=torch.int64))
        assert_close(ours, theirs(queries, keys), **CLOSE)
        queue.enqueue(keys)
