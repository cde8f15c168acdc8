"""Embeddings of frames to one of their clip, beside a loop."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from mmssl.config import build
from mmssl.errors import ConfigError
from mmssl.functional.positions import sincos_moments
from mmssl.models.time_pool import POOL_CHOICE, TransformerOverTime

DIM = 6


def transformer(*, trained: bool) -> TransformerOverTime:
    torch.manual_seed(0)
    pool: TransformerOverTime = build(
        {"name": "transformer", "width": 8, "depth": 2, "num_heads": 2}, POOL_CHOICE, dim=DIM
    ).eval()
    if trained:
        with torch.no_grad():
            pool.out.weight.normal_()
    return pool


def frames(clips: int = 3, count: int = 5) -> Tensor:
    return torch.randn(clips, count, DIM, generator=torch.Generator().manual_seed(1))


def mean_by_loops(embeddings: Tensor) -> Tensor:
    return torch.stack([sum(frame / frame.norm() for frame in clip) / len(clip) for clip in embeddings])


def transformed_by_loops(pool: TransformerOverTime, clip: Tensor) -> Tensor:
    """One clip, token by token, with a softmax written out."""
    unit = torch.stack([frame / frame.norm() for frame in clip])
    tokens = torch.stack(
        [
            pool.enter(frame * DIM**0.5) + sincos_moments(torch.tensor([(place + 0.5) * 64 / len(clip)]), pool.width)[0]
            for place, frame in enumerate(unit)
        ]
    )
    for block in pool.blocks:
        query, key, value = block.query_key_value(block.attention_norm(tokens)).chunk(3, dim=1)
        heads = []
        for q, k, v in zip(*(part.chunk(2, dim=1) for part in (query, key, value)), strict=True):
            rows = [torch.softmax(torch.stack([one @ other for other in k]) / 4**0.5, dim=0) @ v for one in q]
            heads.append(torch.stack(rows))
        tokens = tokens + block.out(torch.cat(heads, dim=1))
        tokens = tokens + torch.stack([block.layers(token) for token in tokens])
    return unit.mean(0) + torch.stack([pool.out(pool.norm(token)) for token in tokens]).mean(0)


def test_the_mean_is_that_of_unit_vectors_and_does_not_see_order() -> None:
    pool = build("mean", POOL_CHOICE, dim=DIM)
    assert not list(pool.parameters())
    assert_close(pool(frames()), mean_by_loops(frames()))
    assert_close(pool(frames().flip(1)), pool(frames()))


def test_the_transformer_starts_as_the_mean() -> None:
    assert_close(transformer(trained=False)(frames()), mean_by_loops(frames()))


def test_the_transformer_beside_a_loop() -> None:
    pool = transformer(trained=True)
    for count in (2, 7):
        given = frames(count=count)
        wanted = torch.stack([transformed_by_loops(pool, clip) for clip in given])
        assert_close(pool(given), wanted, atol=1e-5, rtol=1e-4)


def test_the_transformer_sees_order_and_leaves_images_alone() -> None:
    pool = transformer(trained=True)
    assert not torch.allclose(pool(frames().flip(1)), pool(frames()), atol=1e-2)
    single = frames(count=1)
    assert_close(pool(single), single[:, 0] / single[:, 0].norm(dim=1, keepdim=True))


def test_a_clip_at_another_rate_has_moments_at_the_same_places() -> None:
    pool = transformer(trained=True)
    slow = frames(count=12)
    fast = slow.repeat_interleave(2, dim=1)
    other = slow.roll(3, dims=1)
    assert (pool(fast) - pool(slow)).norm() < 0.5 * (pool(other) - pool(slow)).norm()


def test_an_unknown_pool_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"mean.*transformer"):
        build("max", POOL_CHOICE, dim=DIM)
