"""Contrastive losses: an embedding must find its partner among others."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def _check_temperature(temperature: float) -> None:
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")


def info_nce(
    queries: Float[Tensor, "batch dim"], keys: Float[Tensor, "batch dim"], *, temperature: float
) -> Float[Tensor, ""]:
    """Scores each query against every key; its own key, in the same row, is the right one.

    Args:
        queries: Embeddings; L2-normalised here.
        keys: Row i is the positive of query i.
        temperature: Divides the cosine similarity; > 0, commonly 0.07 to 0.5.

    Returns:
        Mean cross-entropy in nats; log(batch) where all embeddings are equal.

    Raises:
        ValueError: If temperature is not positive.

    Source:
        van den Oord et al. 2018, arXiv:1807.03748, eq. 4.
    """
    _check_temperature(temperature)
    scores = functional.normalize(queries.float(), dim=1) @ functional.normalize(keys.float(), dim=1).T / temperature
    return functional.cross_entropy(scores, torch.arange(len(queries), device=queries.device))


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
    _check_temperature(temperature)
    if (all_a is None) != (all_b is None):
        raise ValueError("all_a and all_b go together")
    keys_a, keys_b = (a, b) if all_a is None or all_b is None else (all_a, all_b)
    queries = functional.normalize(torch.cat((a, b)).float(), dim=1)
    keys = functional.normalize(torch.cat((keys_a, keys_b)).float(), dim=1)
    own = torch.arange(len(a), device=a.device) + offset
    itself = torch.cat((own, own + len(keys_a)))
    partner = torch.cat((own + len(keys_a), own))
    scores = (queries @ keys.T / temperature).scatter(1, itself[:, None], -torch.inf)
    return functional.cross_entropy(scores, partner)
