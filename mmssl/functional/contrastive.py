"""Contrastive losses: an embedding must find its partner among others."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional


def cosine_scores(
    queries: Float[Tensor, "batch dim"], keys: Float[Tensor, "keys dim"], *, temperature: float
) -> Float[Tensor, "batch keys"]:
    """Cosine similarity of each query with each key, divided by the temperature.

    Computed in float32 under autocast, too: bfloat16 tells cosines near 1 apart by 0.004, which a temperature of 0.1 makes 0.04
    nats.

    Args:
        queries: L2-normalised here.
        keys: L2-normalised here.
        temperature: > 0.

    Raises:
        ValueError: If temperature is not positive.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    with torch.autocast(queries.device.type, enabled=False):
        return functional.normalize(queries.float(), dim=1) @ functional.normalize(keys.float(), dim=1).T / temperature


def info_nce(
    queries: Float[Tensor, "batch dim"], keys: Float[Tensor, "keys dim"], *, temperature: float, offset: int = 0
) -> Float[Tensor, ""]:
    """Scores each query against every key; its own key, in the same row, is the right one.

    Args:
        queries: Embeddings; L2-normalised here.
        keys: Row `offset` + i is the positive of query i; all other rows are its negatives.
        temperature: Divides the cosine similarity; > 0, commonly 0.07 to 0.5.
        offset: Row of the first query's key, in distributed training where `keys` are those of all ranks.

    Returns:
        Mean cross-entropy in nats; log(batch) where all embeddings are equal.

    Raises:
        ValueError: If temperature is not positive.

    Source:
        van den Oord et al. 2018, arXiv:1807.03748, eq. 4.
    """
    scores = cosine_scores(queries, keys, temperature=temperature)
    return functional.cross_entropy(scores, torch.arange(len(queries), device=queries.device) + offset)


def nt_xent(
    a: Float[Tensor, "batch dim"],
    b: Float[Tensor, "batch dim"],
    *,
    temperature: float,
    all_a: Float[Tensor, "all dim"] | None = None,
    all_b: Float[Tensor, "all dim"] | None = None,
    offset: int = 0,
) -> Float[Tensor, ""]:
    """Two views of each item; each embedding must find its item's other view among all embeddings but itself.

    In distributed training `a` and `b` are a rank's own rows, and `all_a`, `all_b` every rank's; the mean of the ranks'
    losses is then the loss of the whole batch.

    Args:
        a: First view of each item; L2-normalised here.
        b: Second view of each item.
        temperature: Divides the cosine similarity; > 0, commonly 0.1 to 0.5.
        all_a: First views to compare with; `a` itself where not given.
        all_b: Second views to compare with; `b` itself where not given.
        offset: Row of `all_a` and `all_b` where `a` and `b` begin.

    Returns:
        Mean cross-entropy in nats over the 2 x batch embeddings; log(2 x all - 1) where all embeddings are equal.

    Raises:
        ValueError: If temperature is not positive, or only one of `all_a` and `all_b` is given.

    Source:
        Chen et al. 2020, arXiv:2002.05709, eq. 1.
    """
    if (all_a is None) != (all_b is None):
        raise ValueError("all_a and all_b go together")
    keys_a, keys_b = (a, b) if all_a is None or all_b is None else (all_a, all_b)
    scores = cosine_scores(torch.cat((a, b)), torch.cat((keys_a, keys_b)), temperature=temperature)
    own = torch.arange(len(a), device=a.device) + offset
    itself = torch.cat((own, own + len(keys_a)))
    partner = torch.cat((own + len(keys_a), own))
    return functional.cross_entropy(scores.scatter(1, itself[:, None], -torch.inf), partner)


def moco_logits(
    queries: Float[Tensor, "batch dim"],
    keys: Float[Tensor, "batch dim"],
    negatives: Float[Tensor, "negatives dim"],
    *,
    temperature: float,
) -> Float[Tensor, "batch one_plus_negatives"]:
    """Scores of each query with its own key, in column 0, and with negatives that all queries share.

    Args:
        queries: Embeddings; L2-normalised here.
        keys: Row i is the positive of query i; L2-normalised here.
        negatives: A queue of earlier keys; L2-normalised here.
        temperature: Divides the cosine similarity; > 0, commonly 0.07 to 0.2.

    Raises:
        ValueError: If temperature is not positive.

    Source:
        He et al. 2020, arXiv:1911.05722, algorithm 1.
    """
    own = functional.cosine_similarity(queries.float(), keys.float())[:, None] / temperature
    return torch.cat((own, cosine_scores(queries, negatives, temperature=temperature)), dim=1)


def supervised_contrastive(
    embeddings: Float[Tensor, "batch dim"],
    labels: Int[Tensor, " batch"],
    *,
    temperature: float,
    all_embeddings: Float[Tensor, "all dim"] | None = None,
    all_labels: Int[Tensor, " all"] | None = None,
    offset: int = 0,
) -> Float[Tensor, ""]:
    """Every other embedding of the same label is a positive; each is scored against all embeddings but the query itself.

    The mean over positives stands outside the logarithm. Embeddings without a positive are left out.

    Args:
        embeddings: L2-normalised here; two views of an image are two rows of the same label.
        labels: Class of each.
        temperature: Divides the cosine similarity; > 0, commonly 0.07 to 0.1.
        all_embeddings: What to compare with, in distributed training those of all ranks; `embeddings` where not given.
        all_labels: Class of each of them.
        offset: Row of `all_embeddings` where `embeddings` begin.

    Returns:
        Mean in nats over the embeddings that have a positive, 0 where none has; log(all - 1) where all embeddings are
        equal.

    Raises:
        ValueError: If temperature is not positive, or only one of `all_embeddings` and `all_labels` is given.

    Source:
        Khosla et al. 2020, arXiv:2004.11362, eq. 2.
    """
    if (all_embeddings is None) != (all_labels is None):
        raise ValueError("all_embeddings and all_labels go together")
    others, their_labels = (
        (embeddings, labels) if all_embeddings is None or all_labels is None else (all_embeddings, all_labels)
    )
    itself = (torch.arange(len(embeddings), device=embeddings.device) + offset)[:, None]
    scores = cosine_scores(embeddings, others, temperature=temperature).scatter(1, itself, -torch.inf)
    surprise = scores.logsumexp(1, keepdim=True) - scores
    positive = (labels[:, None] == their_labels[None, :]).scatter(1, itself, False)
    counts = positive.sum(1)
    means = surprise.masked_fill(~positive, 0.0).sum(1) / counts.clamp_min(1)
    return means.sum() / (counts > 0).sum().clamp_min(1)


def margin_contrastive(
    a: Float[Tensor, "pairs dim"], b: Float[Tensor, "pairs dim"], same: Bool[Tensor, " pairs"], *, margin: float
) -> Float[Tensor, ""]:
    """Pulls pairs of one kind together, and pushes other pairs apart until their distance is the margin.

    Args:
        a: First of each pair.
        b: Second of each pair.
        same: Whether the two belong together.
        margin: Euclidean distance from which on two that do not belong together are left alone; > 0.

    Returns:
        Mean over pairs of distance^2 / 2 for those that belong together, max(0, margin - distance)^2 / 2 for the others.

    Raises:
        ValueError: If margin is not positive.

    Source:
        Hadsell, Chopra and LeCun 2006, "Dimensionality reduction by learning an invariant mapping", eq. 4.
    """
    if not margin > 0:
        raise ValueError(f"margin must be positive, got {margin}")
    square = (a.float() - b.float()).square().sum(1)
    distance = square.clamp_min(1e-12).sqrt()
    return torch.where(same, square, (margin - distance).clamp_min(0).square()).mean() / 2
