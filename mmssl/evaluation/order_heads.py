"""Small heads that read the order of frames off frozen embeddings: fitted on some clips, scored on others."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from mmssl.evaluation.linear_probe import standardization
from mmssl.functional.order import IN_ORDER, NUM_FRAMES, all_orders, order_loss, order_tuples, sorting_orders
from mmssl.functional.random import ItemRandom
from mmssl.models.heads import PairHead, TupleHead

NUM_SORTED = 4
MOST_DIMENSIONS = 64
CLIPS_PER_STEP = 64
DRAWS_TO_SCORE = 8


@dataclass(frozen=True)
class OrderAnswers:
    """What the heads say of clips that they have not learnt from.

    Args:
        order_accuracy: Of each clip: whether the middle of three frames lies between the others; yes and no weigh alike.
        sorted_as: The class that each order of each draw is taken for; draws of all clips, then the next draw.
        classes: The class of each order.
    """

    order_accuracy: Float[Tensor, " clips"]
    sorted_as: Int[Tensor, "draws orders"]
    classes: Int[Tensor, " orders"]

    @property
    def num_classes(self) -> int:
        """Orders that can be told apart."""
        return int(self.classes.max()) + 1

    @property
    def sorting_accuracy(self) -> Float[Tensor, " clips"]:
        """Of each clip: the share of orders that are named right."""
        right = (self.sorted_as == self.classes).float().mean(1)
        return right.reshape(DRAWS_TO_SCORE, -1).mean(0)


def frames_needed(max_step: int) -> int:
    """Frames that a clip must have."""
    return (NUM_FRAMES - 1) * max_step + 1


def order_answers(
    train: Float[Tensor, "train frames dim"],
    test: Float[Tensor, "test frames dim"],
    *,
    seed: int,
    max_step: int,
    num_steps: int,
    hidden_dim: int,
) -> OrderAnswers:
    """Fits a head for each of two questions on some clips, and asks it about others; see `evaluation.frame_order`.

    Args:
        train: Embeddings of the frames of clips to learn from; at least `frames_needed` frames.
        test: Of clips to score.
        seed: Of the heads, and of which frames are drawn.
        max_step: Longest gap between two frames, in frames of the clip.
        num_steps: Steps of training.
        hidden_dim: Of the heads.
    """
    train, test = _standardized(train, test)
    draws = _Draws(seed, max_step)
    classes = sorting_orders(NUM_SORTED)[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        order_head = TupleHead(train.shape[2], num_frames=3, hidden_dim=hidden_dim, num_answers=1)
        sorting_head = PairHead(
            train.shape[2], num_frames=NUM_SORTED, hidden_dim=hidden_dim, num_answers=int(classes.max()) + 1
        )

    def order_loss_of(frames: Tensor) -> Tensor:
        return order_loss(order_head(order_tuples(frames))[..., 0], negative_share=0.5)[0]

    def sorted_logits(frames: Tensor) -> Tensor:
        logits: Tensor = sorting_head(all_orders(frames[:, :NUM_SORTED]))
        return logits

    def sorting_loss_of(frames: Tensor) -> Tensor:
        return functional.cross_entropy(sorted_logits(frames).flatten(0, 1), classes.repeat(len(frames)))

    _fit(order_head, order_loss_of, train, draws, num_steps=num_steps)
    _fit(sorting_head, sorting_loss_of, train, draws, num_steps=num_steps)
    with torch.no_grad():
        shown = torch.cat([draws.frames(test, epoch=-1 - draw) for draw in range(DRAWS_TO_SCORE)])
        yes = order_head(order_tuples(shown))[..., 0] > 0
        positive, negative = yes[:, : len(IN_ORDER)], ~yes[:, len(IN_ORDER) :]
        in_order = (positive.float().mean(1) + negative.float().mean(1)) / 2
        return OrderAnswers(in_order.reshape(DRAWS_TO_SCORE, -1).mean(0), sorted_logits(shown).argmax(-1), classes)


class _Draws:
    """Five frames of each clip, by seed, epoch and clip."""

    def __init__(self, seed: int, max_step: int) -> None:
        self.seed = seed
        self.max_step = max_step

    def frames(
        self, clips: Float[Tensor, "clips frames dim"], *, epoch: int, chosen: Tensor | None = None
    ) -> Float[Tensor, "chosen 5 dim"]:
        places = torch.arange(len(clips)) if chosen is None else chosen
        random = ItemRandom(self.seed, epoch, places.tolist())
        steps = random.integers("steps", (NUM_FRAMES - 1,), high=self.max_step) + 1
        offsets = functional.pad(steps.cumsum(1), (1, 0))
        room = clips.shape[1] - offsets[:, -1]
        start = (random.uniform("start") * room).long().minimum(room - 1)
        return clips[places[:, None], start[:, None] + offsets]


def _fit(
    head: nn.Module,
    loss_of: Callable[[Tensor], Tensor],
    clips: Float[Tensor, "clips frames dim"],
    draws: _Draws,
    *,
    num_steps: int,
) -> None:
    generator = torch.Generator().manual_seed(draws.seed)
    optimizer = torch.optim.AdamW(head.parameters(), lr=3e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_steps)
    for step in range(num_steps):
        chosen = torch.randperm(len(clips), generator=generator)[:CLIPS_PER_STEP]
        loss = loss_of(draws.frames(clips, epoch=step, chosen=chosen))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    head.eval()


def _standardized(
    train: Float[Tensor, "train frames dim"], test: Float[Tensor, "test frames dim"]
) -> tuple[Float[Tensor, "train frames kept"], Float[Tensor, "test frames kept"]]:
    """Both by the training split's scale, and on its first principal components where there are many numbers."""
    mean, deviation = standardization(train.flatten(0, 1))
    if train.shape[2] > MOST_DIMENSIONS:
        flat = (train.flatten(0, 1) - mean).double()
        _, vectors = torch.linalg.eigh(flat.T @ flat)
        basis = vectors[:, -MOST_DIMENSIONS:].flip(1).float()
        train, test = (train - mean) @ basis, (test - mean) @ basis
        mean, deviation = standardization(train.flatten(0, 1))
    return (train - mean) / deviation, (test - mean) / deviation
