"""Random walks between the nodes of video frames, there and back again: who follows itself returns to where it began.

A node is a patch of a frame or a cell of its feature map. A walker steps from a node of one frame to a node of the next
with a probability that grows with the similarity of the two; a walk through several frames is the product of the
transitions. Learning needs no labels: a walk that goes some frames ahead and comes back must end where it started.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

_SMALLEST_PROBABILITY = 1e-12
_DROPPED = -1e9


def transitions(
    sources: Float[Tensor, "batch from dim"],
    targets: Float[Tensor, "batch to dim"],
    *,
    temperature: float,
    dropped: Bool[Tensor, "batch from to"] | None = None,
) -> Float[Tensor, "batch from to"]:
    """Probability that a walker steps from each source node to each target node: a softmax over cosine similarities.

    Computed in float32 under autocast, too.

    Args:
        sources: Nodes of the frame that is left; L2-normalised here.
        targets: Nodes of the frame that is entered; L2-normalised here.
        temperature: Divides the similarity; > 0, 0.05 to 0.07 in the paper.
        dropped: Edges that cannot be taken; the others share their probability.

    Returns:
        Rows that sum to one.

    Raises:
        ValueError: If temperature is not positive.

    Source:
        Jabri et al. 2020, arXiv:2006.14613, eq. 1, and section 2.3 for dropped edges.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    with torch.autocast(sources.device.type, enabled=False):
        left, right = (functional.normalize(nodes.float(), dim=2) for nodes in (sources, targets))
        scores = left @ right.transpose(1, 2) / temperature
        if dropped is not None:
            scores = scores.masked_fill(dropped, _DROPPED)
        return scores.softmax(2)


def palindromes(
    ahead: Sequence[Float[Tensor, "batch _ _"]],
    back: Sequence[Float[Tensor, "batch _ _"]],
) -> list[Float[Tensor, "batch start end"]]:
    """Walks ahead by 1, 2, ... frames and back: the sub-cycles of the longest, all from the same start.

    Args:
        ahead: Transitions from frame 0 to 1, 1 to 2, ...
        back: Transitions from frame 1 to 0, 2 to 1, ... Where frame 0 stands for its nodes at the end of a walk, they may
            be others than those at its start.

    Returns:
        For each length, the probability of each end node, given the start node.

    Raises:
        ValueError: If there are not as many transitions back as ahead, or none.

    Source:
        Jabri et al. 2020, arXiv:2006.14613, eq. 2 to 4.
    """
    if not ahead or len(ahead) != len(back):
        raise ValueError(f"{len(ahead)} transitions ahead and {len(back)} back: need as many, at least one")
    out, home = ahead[0], back[0]
    walks = [out @ home]
    for there, here in zip(ahead[1:], back[1:], strict=True):
        out, home = out @ there, here @ home
        walks.append(out @ home)
    return walks


def return_loss(walks: Float[Tensor, "batch start end"], ends: Int[Tensor, "batch start"]) -> Float[Tensor, ""]:
    """How surprising it is that each walk ends at its right node.

    Args:
        walks: Probability of each end node, given the start node.
        ends: The right end of each walk; -1 where there is none.

    Returns:
        Negative log-probability in nats: the mean over an item's walks that have an end, then over items; an item
        without any counts as 0. log(end nodes) for a walker who follows nothing.

    Source:
        Jabri et al. 2020, arXiv:2006.14613, eq. 3.
    """
    known = ends >= 0
    right = walks.gather(2, ends.clamp_min(0)[:, :, None])[:, :, 0]
    surprise = torch.where(known, -right.clamp_min(_SMALLEST_PROBABILITY).log(), 0.0)
    return (surprise.sum(1) / known.sum(1).clamp_min(1)).mean()


def return_accuracy(walks: Float[Tensor, "batch start end"], ends: Int[Tensor, "batch start"]) -> Float[Tensor, ""]:
    """Share of the walks with an end that most probably end there, over the whole batch; 0 where none has one."""
    known = ends >= 0
    right = (walks.argmax(2) == ends) & known
    return right.sum() / known.sum().clamp_min(1)
