"""Whether embeddings have collapsed, from the embeddings alone."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize


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
