"""The order of frames as something to predict: tuples in and out of order, and the orders that frames can be put into."""

from itertools import permutations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

NUM_FRAMES = 5
"""Frames that tuples are made of."""

IN_ORDER = ((1, 2, 3), (3, 2, 1))
OUT_OF_ORDER = ((1, 0, 3), (3, 0, 1), (1, 4, 3), (3, 4, 1))


def order_tuples(embeddings: Float[Tensor, "batch 5 dim"]) -> Float[Tensor, "batch 6 3 dim"]:
    """Tuples of three of the frames a < b < c < d < e, first those in order, then those out of order.

    (b, c, d) is in order, (b, a, d) and (b, e, d) are not, and so it is for each read backwards. All share their end frames,
    so that nothing but the frame in the middle tells them apart.

    Args:
        embeddings: Of five frames in their order in time.

    Returns:
        Two tuples in order, four out of order.

    Source:
        Misra et al. 2016, arXiv:1603.08561, section 3.1.
    """
    return embeddings[:, torch.tensor(IN_ORDER + OUT_OF_ORDER, device=embeddings.device)]


def order_loss(
    logits: Float[Tensor, "batch 6"], *, negative_share: float
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """How well tuples in order are told from those out of order.

    Args:
        logits: Of being in order, in the order of `order_tuples`.
        negative_share: Weight of the tuples out of order, in (0, 1); 0.75 weighs as many out of order as the paper draws.

    Returns:
        Cross-entropy in nats, log(2) where all logits are 0; and the accuracy as the mean of that on the tuples in order and
        that on those out of order, so that a constant answer gives 0.5.

    Raises:
        ValueError: If negative_share is not between 0 and 1.
    """
    if not 0 < negative_share < 1:
        raise ValueError(f"negative_share must be between 0 and 1, got {negative_share}")
    positive, negative = logits[:, : len(IN_ORDER)], logits[:, len(IN_ORDER) :]
    loss = (1 - negative_share) * functional.softplus(-positive).mean()
    loss = loss + negative_share * functional.softplus(negative).mean()
    accuracy = ((positive > 0).float().mean() + (negative <= 0).float().mean()) / 2
    return loss, accuracy


def sorting_orders(num_frames: int) -> tuple[Int[Tensor, "orders frames"], Int[Tensor, " orders"]]:
    """All orders of some frames, and the class of each; an order and the same read backwards are of one class.

    Args:
        num_frames: At least 2; 4 give 24 orders of 12 classes.

    Returns:
        `orders`, where `orders[i, j]` is the place in time of the frame shown at place `j`, and their classes. Of the two
        orders of a class the lexicographically smaller one comes first among all, which numbers the classes.

    Raises:
        ValueError: If there is no order to speak of.

    Source:
        Lee et al. 2017, arXiv:1708.01246, section 3.2.
    """
    if num_frames < 2:
        raise ValueError(f"num_frames must be at least 2, got {num_frames}")
    orders = list(permutations(range(num_frames)))
    classes: dict[tuple[int, ...], int] = {}
    for order in orders:
        classes.setdefault(min(order, order[::-1]), len(classes))
    return torch.tensor(orders), torch.tensor([classes[min(order, order[::-1])] for order in orders])


def all_orders(embeddings: Float[Tensor, "batch frames dim"]) -> Float[Tensor, "batch orders frames dim"]:
    """The frames of each item in every order of `sorting_orders`."""
    return embeddings[:, sorting_orders(embeddings.shape[1])[0].to(embeddings.device)]
