"""Contrastive prediction of what comes some steps later, for all moments and all steps at once."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional


def predictive_nce(
    predictions: Float[Tensor, "batch times steps dim"],
    codes: Float[Tensor, "batch times dim"],
    negatives: Float[Tensor, "batch times negatives dim"],
    lengths: Int[Tensor, " batch"],
    usable: Bool[Tensor, "batch times negatives"] | None = None,
) -> tuple[Float[Tensor, " steps"], Float[Tensor, " steps"]]:
    """Scores the prediction for each later code against that code and its negatives, by their inner product.

    Predictions are arranged by the code they are for: all that were made of one code, one and more steps before, are scored
    against the same negatives in one product of matrices. Memory is linear in the number of negatives. Computed in float32
    under autocast, too.

    Args:
        predictions: Entry `[b, t, k]` is made at moment t for the code at t + k + 1.
        codes: Of each moment.
        negatives: Those of the code at each moment, see `draw_negatives`.
        lengths: Codes of each item that count; predictions for later ones do not.
        usable: Which negatives there are; all where not given.

    Returns:
        For each step, the mean cross-entropy in nats and the share of predictions whose own code scores higher than every
        negative: means over the predictions of an item, then over the items that have any. Log(1 + negatives) and 0 where all
        codes are equal.

    Source:
        van den Oord et al. 2018, arXiv:1807.03748, eq. 3 and 4.
    """
    num_steps = predictions.shape[2]
    times = torch.arange(codes.shape[1], device=codes.device)
    ahead = torch.arange(1, num_steps + 1, device=codes.device)
    made = times[:, None] - ahead
    asked = predictions.float()[:, made.clamp_min(0), ahead - 1]
    with torch.autocast(codes.device.type, enabled=False):
        own = torch.einsum("btkd,btd->btk", asked, codes.float())
        others = asked @ negatives.float().transpose(2, 3)
    counts = (made >= 0) & (times[:, None] < lengths[:, None, None])
    if usable is not None:
        others = others.masked_fill(~usable[:, :, None], -torch.inf)
        counts = counts & usable.any(2)[:, :, None]
    surprise = torch.cat((own[..., None], others), dim=3).logsumexp(3) - own
    return _means(surprise, own > others.amax(3), counts)


def predictive_nce_within(
    predictions: Float[Tensor, "batch times steps dim"],
    codes: Float[Tensor, "batch times dim"],
    drawn: Float[Tensor, "batch times times"],
    lengths: Int[Tensor, " batch"],
) -> tuple[Float[Tensor, " steps"], Float[Tensor, " steps"]]:
    """`predictive_nce` where all negatives are codes of the same item, which are few: each prediction is scored against all.

    A code that was drawn twice weighs as two in the sum. No code is copied, so that this is faster by far; memory is linear in
    the number of codes of an item instead of that of the negatives.

    Args:
        predictions: See `predictive_nce`, like all but the next.
        codes: Of each moment.
        drawn: Entry `[b, t, s]` says how often the code at s is a negative of that at t, see `times_drawn`.
        lengths: Codes of each item that count.
    """
    num_times, num_steps = predictions.shape[1:3]
    ahead = torch.arange(1, num_steps + 1, device=codes.device)
    asked = torch.arange(num_times, device=codes.device)[:, None] + ahead
    with torch.autocast(codes.device.type, enabled=False):
        scores = predictions.flatten(1, 2).float() @ codes.float().transpose(1, 2)
    scores = scores.reshape(-1, num_times, num_steps, num_times)
    own = scores.gather(3, asked.clamp(max=num_times - 1).expand(len(codes), -1, -1)[..., None])[..., 0]

    def of_asked(terms: Float[Tensor, "batch times times"]) -> Float[Tensor, "batch times steps times"]:
        later = functional.pad(terms, (0, 0, 0, num_steps)).unfold(1, num_steps, 1)[:, 1:]
        return later.transpose(2, 3)

    itself = torch.eye(num_times, device=codes.device)
    surprise = (scores + of_asked((drawn + itself).log())).logsumexp(3) - own
    best = (scores.detach() + of_asked(drawn.clamp(max=1).log())).amax(3)
    has_any = functional.pad(drawn.amax(2) > 0, (0, num_steps)).unfold(1, num_steps, 1)[:, 1:]
    return _means(surprise, own > best, (asked < lengths[:, None, None]) & has_any)


def times_drawn(
    places: Int[Tensor, "batch times negatives"], usable: Bool[Tensor, "batch times negatives"]
) -> Float[Tensor, "batch times times"]:
    """How often each code of an item is among the negatives of each, where `draw_negatives` drew within items."""
    batch, num_times, _ = places.shape
    counts = torch.zeros(batch, num_times, num_times, device=places.device)
    return counts.scatter_add_(2, places % num_times, usable.float())


def _means(
    surprise: Float[Tensor, "batch times steps"],
    right: Bool[Tensor, "batch times steps"],
    counts: Bool[Tensor, "batch times steps"],
) -> tuple[Float[Tensor, " steps"], Float[Tensor, " steps"]]:
    """For each step, the means over the predictions of an item that count, then over the items that have any."""
    per_item = counts.sum(1)
    weight = counts / per_item.clamp_min(1)[:, None] / (per_item > 0).sum(0).clamp_min(1)
    return (surprise * weight).sum((0, 1)), (right * weight).sum((0, 1))


def draw_negatives(
    uniform: Float[Tensor, "batch times negatives"],
    lengths: Int[Tensor, " all"],
    groups: Int[Tensor, " all"],
    *,
    num_times: int,
    offset: int = 0,
) -> tuple[Int[Tensor, "batch times negatives"], Bool[Tensor, "batch times negatives"]]:
    """Draws negatives for the code at each moment among all other codes of its group of items, with equal odds.

    The code itself is never among them: it is taken out of what is drawn from, so that no prediction of it, from however many
    steps before, meets it as a negative.

    Args:
        uniform: In [0, 1); each number draws a negative.
        lengths: Codes of each item that may be drawn.
        groups: A number for each item: items of one number lend each other their codes.
        num_times: Codes of an item as they are stored, those that do not count too.
        offset: Item that the first row of `uniform` belongs to, in distributed training.

    Returns:
        Places of the negatives among all codes, item after item, `num_times` each; and whether there was one to draw, which is
        not so for the only code of its group.
    """
    order = groups.argsort(stable=True)
    ends = lengths[order].cumsum(0)
    begins = ends - lengths[order]
    sorted_groups = groups[order]
    first = torch.searchsorted(sorted_groups, groups)
    last = torch.searchsorted(sorted_groups, groups, right=True) - 1
    place_of = torch.empty_like(order)
    place_of[order] = torch.arange(len(order), device=order.device)

    mine = slice(offset, offset + len(uniform))
    low = begins[first][mine, None, None]
    count = ends[last][mine, None, None] - low - 1
    itself = begins[place_of][mine, None, None] + torch.arange(num_times, device=uniform.device)[:, None]
    drawn = low + (uniform.double() * count).long().clamp(max=count - 1)
    drawn = (drawn + (drawn >= itself)).clamp(min=0, max=int(ends[-1]) - 1)
    item = torch.searchsorted(ends, drawn, right=True)
    return order[item] * num_times + drawn - begins[item], (count > 0).expand_as(drawn)
