"""Contrast in time: a frame's neighbor in time is close to it, far frames of the same video and other videos are not."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from mmssl.functional.contrastive import cosine_scores


def time_contrast_loss(
    anchors: Float[Tensor, "batch dim"],
    near: Float[Tensor, "all dim"],
    far: Float[Tensor, "all far dim"],
    *,
    temperature: float,
    offset: int = 0,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Each anchor must find the frame near it in time among all near and far frames of all videos.

    In distributed training `anchors` are a rank's own rows, `near` and `far` every rank's; the mean of the ranks' losses is
    then the loss of the whole batch.

    Args:
        anchors: A frame of each video; L2-normalised here, like all.
        near: Row `offset + i` is the frame near anchor i; the others are negatives.
        far: Frames far from the anchor in the same video, for every video; all are negatives.
        temperature: Divides the cosine similarity; > 0.
        offset: Row of `near` where the anchors' own begin.

    Returns:
        Mean cross-entropy in nats, log(all x (1 + far)) where all embeddings are equal; and the share of anchors that are
        closer to their near frame than to each of their own far ones.

    Raises:
        ValueError: If temperature is not positive.

    Source:
        Sermanet et al. 2018, arXiv:1704.06888, section 3.1 (single view), with the loss of van den Oord et al. 2018,
        arXiv:1807.03748, in place of the triplets.
    """
    own = torch.arange(len(anchors), device=anchors.device) + offset
    scores = cosine_scores(anchors, torch.cat((near, far.flatten(0, 1))), temperature=temperature)
    loss = functional.cross_entropy(scores, own)
    to_near = scores.gather(1, own[:, None])[:, 0]
    of_all = scores[:, len(near) :].reshape(len(anchors), *far.shape[:2])
    to_far = of_all[torch.arange(len(anchors), device=anchors.device), own].amax(1)
    return loss, (to_near > to_far).float().mean()
