"""Whether embeddings have collapsed, from the embeddings alone."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

SMALLEST_SPREAD = 0.01
SMALLEST_RANK = 1.1
"""Below these an encoder tells hardly anything apart; encoders with random weights lie above."""


def embedding_spread(embeddings: Float[Tensor, "items dim"]) -> Float[Tensor, ""]:
    """How far apart embeddings point: 0 where all are alike, about 1 where they point everywhere evenly.

    The mean over dimensions of the standard deviation of the L2-normalised embeddings, times the square root of `dim`.

    Source:
        Chen and He 2021, arXiv:2011.10566, section 4.1.
    """
    unit = normalize(embeddings, dim=1)
    return unit.std(dim=0, correction=0).mean() * math.sqrt(unit.shape[1])


def effective_rank(embeddings: Float[Tensor, "items dim"]) -> Float[Tensor, ""]:
    """How many directions the embeddings fill: from 1 to the smaller of `items` and `dim`.

    The exponential of the entropy of their singular values, scaled to sum to one.

    Source:
        Garrido et al. 2023 (RankMe), arXiv:2210.02885, eq. 1 and 2.
    """
    singular = torch.linalg.svdvals(embeddings)
    share = singular / singular.sum() + 1e-7
    return torch.exp(-(share * share.log()).sum())


def alignment(a: Float[Tensor, "items dim"], b: Float[Tensor, "items dim"]) -> Float[Tensor, ""]:
    """How far apart two views of an item are: the mean squared distance of L2-normalised embeddings, from 0 to 4.

    Source:
        Wang and Isola 2020, arXiv:2005.10242, section 4.1, with alpha 2.
    """
    return (normalize(a, dim=1) - normalize(b, dim=1)).square().sum(1).mean()


def uniformity(embeddings: Float[Tensor, "items dim"]) -> Float[Tensor, ""]:
    """How evenly L2-normalised embeddings fill the sphere: 0 where all are alike, lower is more even, never below -8.

    The logarithm of the mean, over pairs of different items, of exp(-2 times their squared distance). At least two items.

    Source:
        Wang and Isola 2020, arXiv:2005.10242, section 4.1, with t 2.
    """
    unit = normalize(embeddings, dim=1)
    return torch.pdist(unit).square().mul(-2).exp().mean().log()


def collapse_warning(spread: float, rank: float) -> str | None:
    """A sentence where embeddings look collapsed; None where they do not.

    Args:
        spread: See `embedding_spread`.
        rank: See `effective_rank`.
    """
    if spread < SMALLEST_SPREAD:
        return f"the embeddings of different clips are almost alike (spread {spread:.2g}, below {SMALLEST_SPREAD:g})"
    if rank < SMALLEST_RANK:
        return (
            f"the embeddings fill hardly more than one direction (effective rank {rank:.3g}, below {SMALLEST_RANK:g})"
        )
    return None
