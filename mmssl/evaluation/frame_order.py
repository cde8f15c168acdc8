"""Whether frozen embeddings tell the order of frames: small heads learn it on one split and are scored on another."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from mmssl.errors import EvaluationError
from mmssl.evaluation.linear_probe import standardization
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject
from mmssl.functional.order import NUM_FRAMES, all_orders, order_loss, order_tuples, sorting_orders
from mmssl.functional.random import ItemRandom
from mmssl.models.heads import PairHead, TupleHead
from mmssl.retrieval.embeddings import EmbeddingTable

NUM_SORTED = 4
MOST_DIMENSIONS = 64
CLIPS_PER_STEP = 64
DRAWS_TO_SCORE = 8


def frame_order(
    subject: Subject,
    *,
    train_split: str = "train",
    test_split: str = "test",
    max_step: int = 2,
    num_steps: int = 400,
    hidden_dim: int = 64,
) -> list[ReportRow]:
    """Scores how well the order of frames is read off frozen embeddings by a head that learns it on other clips.

    Five frames of a clip are drawn with gaps of 1 to `max_step` frames. Two questions are put to heads of their own: whether
    the middle one of three lies between the others (`order accuracy`, half of the questions are to be answered with yes), and
    which of the 12 orders four of them are shown in (`sorting accuracy`).

    Args:
        subject: Its clips, of several frames each, or a table of embeddings that keeps all of them (`concat`).
        train_split: Split that the heads learn on.
        test_split: Split that is scored.
        max_step: Longest gap between two frames, in frames of the clip.
        num_steps: Steps of training, each on some clips of the training split; the last one is scored.
        hidden_dim: Of the heads.

    Raises:
        EvaluationError: If a split is empty, the splits share a group, or the clips are too short.

    Source:
        Misra et al. 2016, arXiv:1603.08561; Lee et al. 2017, arXiv:1708.01246.
    """
    table = subject.embeddings("concat")
    train, test = (_clips_of(table, subject.encoder.encoder.dim, split) for split in (train_split, test_split))
    _check(table, train_split, test_split, num_frames=train.shape[1], max_step=max_step)
    train, test = _standardized(train, test)
    draws = _Draws(subject.seed, max_step)

    classes = sorting_orders(NUM_SORTED)[1]
    num_classes = int(classes.max()) + 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(subject.seed)
        order_head = TupleHead(train.shape[2], num_frames=3, hidden_dim=hidden_dim, num_answers=1)
        sorting_head = PairHead(train.shape[2], num_frames=NUM_SORTED, hidden_dim=hidden_dim, num_answers=num_classes)

    def sort(head: nn.Module, frames: Tensor) -> tuple[Tensor, Tensor]:
        logits = head(all_orders(frames[:, :NUM_SORTED])).flatten(0, 1)
        wanted = classes.repeat(len(frames))
        return functional.cross_entropy(logits, wanted), logits.argmax(1)

    order = _fitted(
        order_head,
        lambda head, frames: order_loss(head(order_tuples(frames))[..., 0], negative_share=0.5),
        train,
        draws,
        num_steps=num_steps,
    )
    sorting = _fitted(sorting_head, sort, train, draws, num_steps=num_steps)
    with torch.no_grad():
        shown = torch.cat([draws.frames(test, epoch=-1 - draw) for draw in range(DRAWS_TO_SCORE)])
        in_order = order_loss(order(order_tuples(shown))[..., 0], negative_share=0.5)[1].item()
        answers = sort(sorting, shown)[1].reshape(len(shown), -1)
    right = float((answers == classes).float().mean())
    if subject.out is not None:
        _draw_confusion(subject.out / "sorting.png", _confusion(answers, classes))
    common = (
        f"A head with one hidden layer of {hidden_dim} learns on {len(train)} clips of {train_split!r} from frozen, "
        f"standardised embeddings (their first {MOST_DIMENSIONS} principal components where there are more), {num_steps} steps, "
        f"the last one scored on {len(test)} clips of {test_split!r}, {DRAWS_TO_SCORE} draws each; gaps of 1 to {max_step} frames"
    )
    questions: tuple[tuple[str, float, float, str], ...] = (
        (
            "order accuracy",
            in_order,
            0.5,
            "whether the middle of three frames lies between the others; yes and no weigh alike",
        ),
        (
            "sorting accuracy",
            right,
            1 / num_classes,
            "in which of 12 orders four frames are shown; forward and backward are one",
        ),
    )
    rows = []
    for metric, value, chance, question in questions:
        for encoder, score, protocol in ((None, value, f"{common}; {question}."), ("chance", chance, "A guess.")):
            rows.append(
                subject.row(
                    "frame_order",
                    metric,
                    score,
                    split=test_split,
                    num_items=len(test),
                    protocol=protocol,
                    encoder=encoder,
                )
            )
    return rows


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


def _fitted(
    head: nn.Module,
    loss_of: Callable[[nn.Module, Tensor], tuple[Tensor, Tensor]],
    clips: Float[Tensor, "clips frames dim"],
    draws: _Draws,
    *,
    num_steps: int,
) -> nn.Module:
    generator = torch.Generator().manual_seed(draws.seed)
    optimizer = torch.optim.AdamW(head.parameters(), lr=3e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_steps)
    for step in range(num_steps):
        chosen = torch.randperm(len(clips), generator=generator)[:CLIPS_PER_STEP]
        loss, _ = loss_of(head, draws.frames(clips, epoch=step, chosen=chosen))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return head.eval()


def _clips_of(table: EmbeddingTable, dim: int, split: str) -> Float[Tensor, "clips frames dim"]:
    places = [place for place, name in enumerate(table.splits) if name == split]
    if not places:
        raise EvaluationError(
            f"the split {split!r} has no clip; splits are {sorted({name or 'none' for name in table.splits})}; "
            "set train_split and test_split"
        )
    return torch.from_numpy(np.array(table.embeddings[places])).reshape(len(places), -1, dim)


def _check(table: EmbeddingTable, train_split: str, test_split: str, *, num_frames: int, max_step: int) -> None:
    groups = [
        {group for group, name in zip(table.groups, table.splits, strict=True) if name == split}
        for split in (train_split, test_split)
    ]
    shared = sorted(groups[0] & groups[1])
    if shared:
        raise EvaluationError(
            f"{len(shared)} groups stand in both {train_split!r} and {test_split!r}, such as {shared[:3]}; put each group "
            "into one split"
        )
    needed = (NUM_FRAMES - 1) * max_step + 1
    if max_step < 1 or num_frames < needed:
        raise EvaluationError(
            f"frame_order with max_step {max_step} needs clips of at least {needed} frames, these have {num_frames}; decode "
            "longer clips or set a smaller max_step"
        )


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


def _confusion(
    answers: Int[Tensor, "items orders"], classes: Int[Tensor, " orders"]
) -> Float[np.ndarray, "classes classes"]:
    count = int(classes.max()) + 1
    pairs = classes.expand_as(answers) * count + answers
    counts = torch.bincount(pairs.flatten(), minlength=count * count).reshape(count, count).double()
    shares: Float[np.ndarray, "classes classes"] = (counts / counts.sum(1, keepdim=True)).numpy()
    return shares


def _draw_confusion(path: Path, shares: Float[np.ndarray, "classes classes"]) -> None:
    """A map of how often each order is taken for each."""
    from matplotlib.figure import Figure

    orders, classes = sorting_orders(NUM_SORTED)
    names = [
        "".join("abcd"[place] for place in orders[classes.tolist().index(number)]) for number in range(len(shares))
    ]
    figure = Figure(figsize=(4.6, 4.0), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="viridis", vmin=0)
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("answer")
    axes.set_ylabel("order shown (forward and backward are one)")
    figure.colorbar(image, label="share of the answers")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
