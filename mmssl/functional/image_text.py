"""Losses of image-text pairs, a block of rows at a time: memory grows with the batch, not with its square."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class AllPairs:
    """Every rank's rows, which a rank's own are compared with in distributed training.

    Args:
        texts: Of all ranks.
        offset: Where the rank's own rows begin.
        captions: Number of each row's caption, where the rank's own have numbers.
        images: Of all ranks; `siglip_loss` needs none.
    """

    texts: Float[Tensor, "all dim"]
    offset: int
    captions: Int[Tensor, " all"] | None = None
    images: Float[Tensor, "all dim"] | None = None


def clip_loss(
    images: Float[Tensor, "batch dim"],
    texts: Float[Tensor, "batch dim"],
    *,
    scale: Float[Tensor, ""],
    captions: Int[Tensor, " batch"] | None = None,
    everyone: AllPairs | None = None,
    rows_at_once: int = ROWS_AT_ONCE,
) -> Float[Tensor, ""]:
    """Each image must find its text among all texts, and each text its image; what has the same caption is no negative.

    In distributed training `images` and `texts` are a rank's own rows, and `everyone` holds all ranks'; the mean of the ranks'
    losses is then the loss of the whole batch.

    Args:
        images: L2-normalised here.
        texts: Row i belongs to image i.
        scale: Multiplies the cosine similarities; > 0.
        captions: Number of each row's caption; rows of one number are not compared with each other.
        everyone: Pairs to compare with; the rows themselves where not given.
        rows_at_once: Rows whose scores are held at a time; changes nothing but memory and time.

    Returns:
        Mean of both directions' mean cross-entropy in nats; log(all) where all embeddings are equal.

    Raises:
        ValueError: If `everyone` lacks the images, or its captions where `captions` are given.

    Source:
        Radford et al. 2021, arXiv:2103.00020, figure 3.
    """
    everyone = everyone or AllPairs(texts, 0, captions, images)
    if everyone.images is None:
        raise ValueError("the images of all ranks are missing beside their texts")
    own_images, own_texts, all_images, all_texts = (
        functional.normalize(part.float(), dim=1) for part in (images, texts, everyone.images, everyone.texts)
    )
    rows = _Rows(*_numbers(len(images), everyone, captions), everyone.offset, rows_at_once)
    total = torch.zeros((), device=images.device)
    for queries, keys in ((own_images, all_texts), (own_texts, all_images)):
        total = total + _sum_over_rows(_softmax_rows, queries, keys, rows, scale, None)
    return total / (2 * len(images))


def siglip_loss(
    images: Float[Tensor, "batch dim"],
    texts: Float[Tensor, "batch dim"],
    *,
    scale: Float[Tensor, ""],
    bias: Float[Tensor, ""],
    captions: Int[Tensor, " batch"] | None = None,
    everyone: AllPairs | None = None,
    rows_at_once: int = ROWS_AT_ONCE,
) -> Float[Tensor, ""]:
    """Each pair of an image and a text is asked on its own whether it belongs together; pairs of one caption are left out.

    Args:
        images: L2-normalised here.
        texts: Row i belongs to image i.
        scale: Multiplies the cosine similarities; > 0, 10 to begin with.
        bias: Added to them; -10 to begin with.
        captions: See `clip_loss`.
        everyone: See `clip_loss`; its images are not needed.
        rows_at_once: See `clip_loss`.

    Returns:
        Sum of the binary cross-entropies over all pairs, in nats, divided by the number of images.

    Source:
        Zhai et al. 2023, arXiv:2303.15343, algorithm 1.
    """
    everyone = everyone or AllPairs(texts, 0, captions)
    queries, keys = (functional.normalize(part.float(), dim=1) for part in (images, everyone.texts))
    rows = _Rows(*_numbers(len(images), everyone, captions), everyone.offset, rows_at_once)
    return _sum_over_rows(_sigmoid_rows, queries, keys, rows, scale, bias) / len(images)


@dataclass(frozen=True)
class _Rows:
    """Caption number of each row and of each column; the column that the first row belongs to; rows in a block."""

    own: Tensor
    every: Tensor
    offset: int
    at_once: int


def _numbers(rows: int, everyone: AllPairs, captions: Tensor | None) -> tuple[Tensor, Tensor]:
    """Caption number of each row and of each column; without captions each has its own."""
    if captions is None:
        every = torch.arange(len(everyone.texts))
        return every[everyone.offset : everyone.offset + rows], every
    if everyone.captions is None:
        raise ValueError("the captions of all ranks are missing beside the rank's own")
    return captions, everyone.captions


def _sum_over_rows(
    function: Callable[..., Tensor],
    queries: Tensor,
    keys: Tensor,
    rows: _Rows,
    scale: Tensor,
    bias: Tensor | None,
) -> Tensor:
    """Sum of a function over blocks of rows, whose scores are computed again on the way back instead of being kept."""
    own, every = (part.to(queries.device) for part in (rows.own, rows.every))
    total = torch.zeros((), device=queries.device)
    for first in range(0, len(queries), rows.at_once):
        block = slice(first, first + rows.at_once)
        given = (queries[block], keys, own[block], every, scale, bias, rows.offset + first)
        if len(queries) > rows.at_once and torch.is_grad_enabled():
            part: Tensor = checkpoint(function, *given, use_reentrant=False)
        else:
            part = function(*given)
        total = total + part
    return total


def _softmax_rows(
    queries: Tensor, keys: Tensor, own: Tensor, every: Tensor, scale: Tensor, bias: None, first: int
) -> Tensor:
    targets = torch.arange(len(queries), device=queries.device) + first
    same = (own[:, None] == every).scatter(1, targets[:, None], False)
    scores = (scale * (queries @ keys.T)).masked_fill(same, -torch.inf)
    return functional.cross_entropy(scores, targets, reduction="sum")


def _sigmoid_rows(
    queries: Tensor, keys: Tensor, own: Tensor, every: Tensor, scale: Tensor, bias: Tensor, first: int
) -> Tensor:
    targets = torch.arange(len(queries), device=queries.device)[:, None] + first
    same = (own[:, None] == every).scatter(1, targets, False)
    signs = torch.full_like(same, -1, dtype=queries.dtype).scatter(1, targets, 1.0)
    scores = scale * (queries @ keys.T) + bias
    return -functional.logsigmoid(signs * scores).masked_fill(same, 0).sum()


def right_answers(
    images: Float[Tensor, "batch dim"],
    texts: Float[Tensor, "all dim"],
    captions: Int[Tensor, " batch"],
    all_captions: Int[Tensor, " all"],
    *,
    rows_at_once: int = ROWS_AT_ONCE,
) -> Float[Tensor, ""]:
    """Share of images whose nearest text has the image's own caption."""
    found = [
        (functional.normalize(part, dim=1) @ functional.normalize(texts, dim=1).T).argmax(1)
        for part in torch.split(images, rows_at_once)
    ]
    return (all_captions[torch.cat(found)] == captions).double().mean()
