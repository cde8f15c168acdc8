import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from mmssl.functional.contrastive import info_nce, margin_contrastive, moco_logits, nt_xent, supervised_contrastive


def cosine(a: Tensor, b: Tensor) -> float:
    return (a @ b / (a.norm() * b.norm())).item()


def info_nce_by_loops(queries: Tensor, keys: Tensor, temperature: float) -> float:
    losses = []
    for i, query in enumerate(queries):
        scores = [math.exp(cosine(query, key) / temperature) for key in keys]
        losses.append(-math.log(scores[i] / sum(scores)))
    return sum(losses) / len(losses)


def nt_xent_by_loops(a: Tensor, b: Tensor, temperature: float) -> float:
    everyone = [*a, *b]
    losses = []
    for i, one in enumerate(everyone):
        scores = {j: math.exp(cosine(one, other) / temperature) for j, other in enumerate(everyone) if j != i}
        losses.append(-math.log(scores[(i + len(a)) % len(everyone)] / sum(scores.values())))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_losses_match_loops(temperature: float) -> None:
    a, b = torch.randn(6, 4).double(), torch.randn(6, 4).double()
    assert info_nce(a, b, temperature=temperature).item() == pytest.approx(
        info_nce_by_loops(a, b, temperature), rel=1e-4
    )
    assert nt_xent(a, b, temperature=temperature).item() == pytest.approx(nt_xent_by_loops(a, b, temperature), rel=1e-4)


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_known_values_for_equal_embeddings(batch: int) -> None:
    same = torch.ones(batch, 3)
    assert_close(info_nce(same, same, temperature=0.1).item(), math.log(batch), atol=1e-5, rtol=0)
    assert_close(nt_xent(same, same, temperature=0.1).item(), math.log(2 * batch - 1), atol=1e-5, rtol=0)


def test_order_of_items_views_and_scale_do_not_matter() -> None:
    a, b = torch.randn(8, 5), torch.randn(8, 5)
    loss, order = nt_xent(a, b, temperature=0.2), torch.randperm(8)
    assert_close(nt_xent(a[order], b[order], temperature=0.2), loss)
    assert_close(nt_xent(b, a, temperature=0.2), loss)
    assert_close(nt_xent(3 * a, 0.1 * b, temperature=0.2), loss)
    assert_close(info_nce(a[order], b[order], temperature=0.2), info_nce(a, b, temperature=0.2))


def test_ranks_losses_average_to_the_loss_of_the_whole_batch() -> None:
    a, b = torch.randn(6, 4), torch.randn(6, 4)
    parts = [
        nt_xent(a[start : start + 2], b[start : start + 2], temperature=0.3, all_a=a, all_b=b, offset=start)
        for start in (0, 2, 4)
    ]
    assert_close(torch.stack(parts).mean(), nt_xent(a, b, temperature=0.3))


def test_small_temperature_and_zero_embeddings_stay_finite() -> None:
    a, b = torch.randn(4, 3, requires_grad=True), torch.zeros(4, 3, requires_grad=True)
    loss = nt_xent(a, b, temperature=1e-3)
    loss.backward()
    for value in (loss, a.grad, b.grad):
        assert value is not None
        assert torch.isfinite(value).all()


def test_refuses_bad_arguments() -> None:
    a = torch.randn(2, 3)
    for temperature in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="temperature"):
            info_nce(a, a, temperature=temperature)
        with pytest.raises(ValueError, match="temperature"):
            nt_xent(a, a, temperature=temperature)
    with pytest.raises(ValueError, match="together"):
        nt_xent(a, a, temperature=1.0, all_a=a)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "info_nce": lambda a, b: info_nce(a, b, temperature=0.1),
    "nt_xent": lambda a, b: nt_xent(a, b, temperature=0.1),
    "moco": lambda a, b: moco_logits(a, b, b, temperature=0.1),
    "supervised": lambda a, b: supervised_contrastive(torch.cat((a, b)), torch.arange(8).repeat(2), temperature=0.1),
}


@pytest.mark.parametrize("name", LOSSES)
def test_similarities_are_not_rounded_where_networks_are(name: str) -> None:
    a = torch.randn(8, 16)
    b = a + 0.1 * torch.randn(8, 16)
    exact = LOSSES[name](a, b)
    with torch.autocast("cpu", torch.bfloat16):
        assert (a @ b.T).dtype == torch.bfloat16
        assert torch.equal(LOSSES[name](a, b), exact)


def supervised_by_loops(embeddings: Tensor, labels: Tensor, temperature: float) -> float:
    losses = []
    for i, one in enumerate(embeddings):
        scores = {j: math.exp(cosine(one, other) / temperature) for j, other in enumerate(embeddings) if j != i}
        terms = [-math.log(scores[j] / sum(scores.values())) for j in scores if labels[j] == labels[i]]
        losses += [sum(terms) / len(terms)] if terms else []
    return sum(losses) / len(losses)


def test_supervised_contrastive_matches_loops_and_nt_xent_where_each_item_is_a_class() -> None:
    embeddings, labels = torch.randn(7, 4), torch.tensor([0, 2, 0, 1, 2, 0, 5])
    loss = supervised_contrastive(embeddings, labels, temperature=0.3)
    assert loss.item() == pytest.approx(supervised_by_loops(embeddings, labels, 0.3), rel=1e-4)
    a, b = torch.randn(5, 3), torch.randn(5, 3)
    own = torch.arange(5).repeat(2)
    assert_close(supervised_contrastive(torch.cat((a, b)), own, temperature=0.2), nt_xent(a, b, temperature=0.2))
    assert_close(supervised_contrastive(torch.ones(6, 2), torch.zeros(6).long(), temperature=0.1).item(), math.log(5))
    assert supervised_contrastive(embeddings[:3], torch.arange(3), temperature=0.1) == 0


def test_supervised_contrastive_of_ranks_averages_to_the_whole() -> None:
    embeddings, labels = torch.randn(6, 4), torch.tensor([0, 1, 0, 1, 0, 1])
    parts = [
        supervised_contrastive(
            embeddings[start : start + 3],
            labels[start : start + 3],
            temperature=0.3,
            all_embeddings=embeddings,
            all_labels=labels,
            offset=start,
        )
        for start in (0, 3)
    ]
    assert_close(torch.stack(parts).mean(), supervised_contrastive(embeddings, labels, temperature=0.3))
    with pytest.raises(ValueError, match="together"):
        supervised_contrastive(embeddings, labels, temperature=0.3, all_labels=labels)


def test_moco_logits_are_the_positive_and_the_queue() -> None:
    queries, keys = torch.randn(3, 4), torch.randn(3, 4)
    negatives = torch.nn.functional.normalize(torch.randn(5, 4), dim=1)
    logits = moco_logits(queries, keys, negatives, temperature=0.2)
    assert logits.shape == (3, 6)
    for i, query in enumerate(queries):
        wanted = [cosine(query, other) / 0.2 for other in (keys[i], *negatives)]
        assert logits[i].tolist() == pytest.approx(wanted, rel=1e-4, abs=1e-4)


def test_info_nce_of_ranks_averages_to_the_whole() -> None:
    queries, keys = torch.randn(6, 4), torch.randn(6, 4)
    parts = [info_nce(queries[s : s + 2], keys, temperature=0.3, offset=s) for s in (0, 2, 4)]
    assert_close(torch.stack(parts).mean(), info_nce(queries, keys, temperature=0.3))


def test_margin_contrastive_matches_loops() -> None:
    a, b, same = torch.randn(9, 3), torch.randn(9, 3), torch.arange(9) % 3 == 0
    terms = []
    for one, other, alike in zip(a, b, same, strict=True):
        distance = math.dist(one.tolist(), other.tolist())
        terms.append(distance**2 / 2 if alike else max(0.0, 1.5 - distance) ** 2 / 2)
    assert margin_contrastive(a, b, same, margin=1.5).item() == pytest.approx(sum(terms) / 9, rel=1e-5)
    assert_close(margin_contrastive(b, a, same, margin=1.5), margin_contrastive(a, b, same, margin=1.5))
    equal = torch.ones(4, 3, requires_grad=True)
    loss = margin_contrastive(equal, torch.ones(4, 3), torch.tensor([True, True, False, False]), margin=2.0)
    assert loss.item() == pytest.approx(1.0)
    loss.backward()
    assert equal.grad is not None
    assert torch.isfinite(equal.grad).all()
    with pytest.raises(ValueError, match="margin"):
        margin_contrastive(a, b, same, margin=0.0)
