"""Losses of image-text pairs, a block of rows at a time: memory grows with the batch, not with its square."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

ROWS_AT_ONCE = 512


def clip_loss(
    images: Float[Tensor, "batch dim"],
    texts: Float[Tensor, "batch dim"],
    *,
    scale: Float[Tensor, ""],
    all_images: Float[Tensor, "all dim"] | None = None,
    all_texts: Float[Tensor, "all dim"] | None = None,
    captions: Int[Tensor, " batch"] | None = None,
    all_captions: Int[Tensor, " all"] | None = None,
    offset: int = 0,
    rows_at_once: int = ROWS_AT_ONCE,
) -> Float[Tensor, ""]:
    """Each image must find its text among all texts, and each text its image; what has the same caption is no negative.

    In distributed training `images` and `texts` are a rank's own rows, and `all_images`, `all_texts` every rank's; the mean of
    the ranks' losses is then the loss of the whole batch.

    Args:
        images: L2-normalised here.
        texts: Row i belongs to image i.
        scale: Multiplies the cosine similarities; > 0.
        all_images: Images to compare with; `images` where not given.
        all_texts: Texts to compare with; `texts` where not given.
        captions: Number of each row's caption; rows of one number are not compared with each other.
        all_captions: Those of all rows.
        offset: Row of `all_images` and `all_texts` where `images` and `texts` begin.
        rows_at_once: Rows whose scores are held at a time; changes nothing but memory and time.

    Returns:
        Mean of both directions' mean cross-entropy in nats; log(all) where all embeddings are equal.

    Raises:
        ValueError: If only one of a pair of arguments is given.

    Source:
        Radford et al. 2021, arXiv:2103.00020, figure 3.
    """
    if (all_images is None) != (all_texts is None):
        raise ValueError("all_images and all_texts go together")
    own_images, own_texts = functional.normalize(images.float(), dim=1), functional.normalize(texts.float(), dim=1)
    other_images = own_images if all_images is None else functional.normalize(all_images.float(), dim=1)
    other_texts = own_texts if all_texts is None else functional.normalize(all_texts.float(), dim=1)
    numbers = _numbers(len(images), len(other_texts), captions, all_captions, offset)
    total = torch.zeros((), device=images.device)
    for queries, keys in ((own_images, other_texts), (own_texts, other_images)):
        total = total + _sum_over_rows(_softmax_rows, queries, keys, numbers, scale, None, offset, rows_at_once)
    return total / (2 * len(images))


def siglip_loss(
    images: Float[Tensor, "batch dim"],
    texts: Float[Tensor, "batch dim"],
    *,
    scale: Float[Tensor, ""],
    bias: Float[Tensor, ""],
    all_texts: Float[Tensor, "all dim"] | None = None,
    captions: Int[Tensor, " batch"] | None = None,
    all_captions: Int[Tensor, " all"] | None = None,
    offset: int = 0,
    rows_at_once: int = ROWS_AT_ONCE,
) -> Float[Tensor, ""]:
    """Each pair of an image and a text is asked on its own whether it belongs together; pairs of one caption are left out.

    Args:
        images: L2-normalised here.
        texts: Row i belongs to image i.
        scale: Multiplies the cosine similarities; > 0, 10 to begin with.
        bias: Added to them; -10 to begin with.
        all_texts: Texts to compare with, see `clip_loss`.
        captions: See `clip_loss`.
        all_captions: See `clip_loss`.
        offset: See `clip_loss`.
        rows_at_once: See `clip_loss`.

    Returns:
        Sum of the binary cross-entropies over all pairs, in nats, divided by the number of images.

    Source:
        Zhai et al. 2023, arXiv:2303.15343, algorithm 1.
    """
    own_images, own_texts = functional.normalize(images.float(), dim=1), functional.normalize(texts.float(), dim=1)
    keys = own_texts if all_texts is None else functional.normalize(all_texts.float(), dim=1)
    numbers = _numbers(len(images), len(keys), captions, all_captions, offset)
    return _sum_over_rows(_sigmoid_rows, own_images, keys, numbers, scale, bias, offset, rows_at_once) / len(images)


def _numbers(
    rows: int, columns: int, captions: Tensor | None, all_captions: Tensor | None, offset: int
) -> tuple[Tensor, Tensor]:
    """Caption number of each row and of each column; without captions each has its own."""
    if captions is None:
        every = torch.arange(columns)
        return every[offset : offset + rows], every
    if all_captions is None:
        if columns != rows:
            raise ValueError("captions and all_captions go together")
        return captions, captions
    return captions, all_captions


def _sum_over_rows(
    function: Callable[..., Tensor],
    queries: Tensor,
    keys: Tensor,
    numbers: tuple[Tensor, Tensor],
    scale: Tensor,
    bias: Tensor | None,
    offset: int,
    rows_at_once: int,
) -> Tensor:
    """Sum of a function over blocks of rows, whose scores are computed again on the way back instead of being kept."""
    own, every = (part.to(queries.device) for part in numbers)
    total = torch.zeros((), device=queries.device)
    for first in range(0, len(queries), rows_at_once):
        block = slice(first, first + rows_at_once)
        given = (queries[block], keys, own[block], every, scale, bias, offset + first)
        if len(queries) > rows_at_once and torch.is_grad_enabled():
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
