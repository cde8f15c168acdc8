"""The losses beside open_clip's own, beside slow loops, in blocks, and with captions that stand twice."""

import math

import pytest
import torch
from open_clip.loss import ClipLoss, SigLipLoss
from torch import Tensor
from torch.nn.functional import normalize
from torch.testing import assert_close

from mmssl.functional.image_text import AllPairs, clip_loss, right_answers, siglip_loss

SCALE, BIAS = 14.0, -9.0


def pairs(count: int = 7, dim: int = 5) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    images, texts = (torch.randn(count, dim, generator=generator, requires_grad=True) for _ in range(2))
    return images, texts, torch.tensor(SCALE, requires_grad=True), torch.tensor(BIAS, requires_grad=True)


def clip_by_loops(images: Tensor, texts: Tensor, captions: list[int]) -> float:
    a, b = normalize(images.detach().double(), dim=1), normalize(texts.detach().double(), dim=1)
    total = 0.0
    for queries, keys in ((a, b), (b, a)):
        for i in range(len(a)):
            others = [j for j in range(len(a)) if j == i or captions[j] != captions[i]]
            scores = [SCALE * float(queries[i] @ keys[j]) for j in others]
            total += math.log(sum(map(math.exp, scores))) - SCALE * float(queries[i] @ keys[i])
    return total / (2 * len(a))


def siglip_by_loops(images: Tensor, texts: Tensor, captions: list[int]) -> float:
    a, b = normalize(images.detach().double(), dim=1), normalize(texts.detach().double(), dim=1)
    total = 0.0
    for i in range(len(a)):
        for j in range(len(a)):
            if i == j or captions[i] != captions[j]:
                score = (1 if i == j else -1) * (SCALE * float(a[i] @ b[j]) + BIAS)
                total += math.log1p(math.exp(-score))
    return total / len(a)


@pytest.mark.parametrize("captions", [[0, 1, 2, 3, 4, 5, 6], [0, 1, 0, 2, 2, 2, 3]])
def test_losses_match_loops(captions: list[int]) -> None:
    images, texts, scale, bias = pairs()
    numbers = torch.tensor(captions)
    found = clip_loss(images, texts, scale=scale, captions=numbers)
    assert found.item() == pytest.approx(clip_by_loops(images, texts, captions), rel=1e-5)
    found = siglip_loss(images, texts, scale=scale, bias=bias, captions=numbers)
    assert found.item() == pytest.approx(siglip_by_loops(images, texts, captions), rel=1e-5)


def test_values_and_gradients_are_those_of_open_clip() -> None:
    images, texts, scale, bias = pairs()
    theirs = [part.detach().clone().requires_grad_() for part in (images, texts, scale, bias)]
    unit = [normalize(part, dim=1) for part in theirs[:2]]
    wanted = ClipLoss()(*unit, theirs[2]) + SigLipLoss()(*unit, theirs[2], theirs[3])
    found = clip_loss(images, texts, scale=scale) + siglip_loss(images, texts, scale=scale, bias=bias)
    assert_close(found, wanted)
    found.backward()
    wanted.backward()
    for own, other in zip((images, texts, scale, bias), theirs, strict=True):
        assert_close(own.grad, other.grad, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("loss", ["clip", "siglip"])
def test_blocks_of_rows_give_the_same_gradient_and_never_hold_the_square(loss: str) -> None:
    def gradients(rows_at_once: int) -> tuple[list[Tensor], int]:
        images, texts, scale, bias = pairs(40, 3)
        captions = torch.arange(40) // 2
        held: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda kept: (held.append(kept.numel()), kept)[1], lambda kept: kept
        ):
            if loss == "clip":
                value = clip_loss(images, texts, scale=scale, captions=captions, rows_at_once=rows_at_once)
            else:
                value = siglip_loss(images, texts, scale=scale, bias=bias, captions=captions, rows_at_once=rows_at_once)
        value.backward()
        return [part.grad for part in (images, texts, scale, bias) if part.grad is not None], max(held)

    whole, square = gradients(40)
    parts, block = gradients(7)
    assert square >= 40 * 40
    assert block <= 7 * 40
    for one, other in zip(whole, parts, strict=True):
        assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_ranks_with_their_own_rows_have_the_mean_of_the_whole() -> None:
    images, texts, scale, bias = pairs(8)
    captions = torch.tensor([0, 1, 2, 3, 0, 5, 6, 6])
    whole = clip_loss(images, texts, scale=scale, captions=captions)
    both = siglip_loss(images, texts, scale=scale, bias=bias, captions=captions)
    clips, siglips = [], []
    for first in (0, 4):
        own = slice(first, first + 4)
        everyone = AllPairs(texts, first, captions, images)
        rows = images[own], texts[own]
        clips.append(clip_loss(*rows, scale=scale, captions=captions[own], everyone=everyone))
        siglips.append(siglip_loss(*rows, scale=scale, bias=bias, captions=captions[own], everyone=everyone))
    assert_close(torch.stack(clips).mean(), whole)
    assert_close(torch.stack(siglips).mean(), both)


def test_equal_embeddings_cost_the_logarithm_of_the_batch() -> None:
    same = torch.ones(6, 4)
    assert clip_loss(same, same, scale=torch.tensor(5.0)).item() == pytest.approx(math.log(6))


def test_images_and_texts_may_change_places() -> None:
    images, texts, scale, _ = pairs()
    assert_close(clip_loss(images, texts, scale=scale), clip_loss(texts, images, scale=scale))


def test_right_answers_counts_any_text_of_the_same_caption() -> None:
    unit = torch.eye(3)
    answers = right_answers(unit, unit[[1, 0, 2]], torch.tensor([0, 0, 1]), torch.tensor([0, 0, 1]), rows_at_once=2)
    assert answers.item() == 1.0
    assert right_answers(unit, unit[[1, 0, 2]], torch.arange(3), torch.arange(3)).item() == pytest.approx(1 / 3)
