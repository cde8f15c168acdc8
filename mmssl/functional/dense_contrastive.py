"""Contrast between the cells of feature maps whose correspondences are known."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from mmssl.functional.contrastive import cosine_scores


def dense_info_nce(
    queries: Float[Tensor, "batch cells dim"],
    keys: Float[Tensor, "all others dim"],
    matches: Int[Tensor, "batch cells"],
    *,
    temperature: float,
    offset: int = 0,
) -> Float[Tensor, ""]:
    """Each cell must find the cell that shows the same place, among all cells of all images.

    Computed in float32 under autocast, too.

    Args:
        queries: Cells of one view of each image; L2-normalised here.
        keys: Cells of the other view of each image, and of further images if there are more; L2-normalised here.
        matches: Which cell of the same image's other view shows the same place; -1 where none does.
        temperature: Divides the cosine similarity; > 0.
        offset: Image of `keys` that is the first of `queries`.

    Returns:
        Cross-entropy in nats: the mean over an image's cells that have a match, then over images; an image without any
        counts as 0. log(all x others) where all features are equal.

    Raises:
        ValueError: If temperature is not positive.

    Source:
        van den Oord et al. 2018, arXiv:1807.03748, eq. 4, for the pixel correspondences of Florence et al. 2018,
        arXiv:1806.08756.
    """
    batch, cells, _ = queries.shape
    others = keys.shape[1]
    known = matches >= 0
    own = torch.arange(offset, offset + batch, device=queries.device)[:, None] * others
    targets = torch.where(known, own + matches, -1).flatten()
    asked = known.flatten()
    scores = cosine_scores(queries.flatten(0, 1)[asked], keys.flatten(0, 1), temperature=temperature)
    found = functional.cross_entropy(scores, targets[asked], reduction="none")
    surprise = torch.zeros(batch * cells, device=queries.device).masked_scatter(asked, found).reshape(batch, cells)
    return (surprise.sum(1) / known.sum(1).clamp_min(1)).mean()
