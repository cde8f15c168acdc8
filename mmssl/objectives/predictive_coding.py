"""What contrastive predictive coding is, whatever its codes are of: predictors for each number of steps, and their contrast."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmssl.functional.gather import gather_with_gradient, rank_offset, world_size
from mmssl.functional.predictive_coding import draw_negatives, predictive_nce, predictive_nce_within, times_drawn
from mmssl.objectives.objective import Output


class StepPredictors(nn.Linear):
    """A linear predictor of a code for each number of steps ahead.

    Args:
        context_dim: Length of a context.
        code_dim: Length of a code.
        num_steps: How many steps ahead the furthest prediction is for.
    """

    def __init__(self, context_dim: int, code_dim: int, *, num_steps: int) -> None:
        super().__init__(context_dim, num_steps * code_dim, bias=False)
        self.num_steps = num_steps

    def forward(
        self, contexts: Float[Tensor, "items times context_dim"]
    ) -> Float[Tensor, "items times steps code_dim"]:
        """The code at each number of steps after each moment."""
        return super().forward(contexts).reshape(*contexts.shape[:2], self.num_steps, -1)


def contrast(
    predictions: Float[Tensor, "items times steps dim"],
    codes: Float[Tensor, "items times dim"],
    *,
    lengths: Int[Tensor, " items"],
    groups: Int[Tensor, " items"] | None,
    uniform: Float[Tensor, "items times negatives"],
    across_processes: bool,
) -> Output:
    """The loss of predictions, whose negatives are drawn from the items of the same group.

    Args:
        predictions: See `predictive_nce`.
        codes: Of each moment of each item.
        lengths: Codes of each item that count.
        groups: A number for each item; items of one number lend each other their codes. None where each has its own alone.
        uniform: In [0, 1); each number draws a negative, see `draw_negatives`.
        across_processes: Whether the items of all processes lend each other their codes; their numbers then mean the same.

    Returns:
        `loss`, the mean over steps, and `accuracy_1` and so on, by steps ahead: the share of predictions that find their code
        among its negatives.
    """
    num_items, num_times, dim = codes.shape
    own = torch.arange(num_items, device=codes.device) if groups is None else groups
    everyone, all_lengths, all_groups, offset = codes, lengths, own, 0
    if across_processes and world_size() > 1:
        everyone = gather_with_gradient(codes.flatten(1)).reshape(-1, num_times, dim)
        facts = gather_with_gradient(torch.stack((lengths, own), dim=1).double()).long()
        all_lengths, all_groups = facts.unbind(1)
        offset = rank_offset(num_items)
    places, usable = draw_negatives(
        uniform.to(codes.device), all_lengths, all_groups, num_times=num_times, offset=offset
    )
    if groups is None and num_times * predictions.shape[2] <= uniform.shape[2] * dim:
        losses, accuracies = predictive_nce_within(predictions, codes, times_drawn(places, usable), lengths)
    else:
        losses, accuracies = predictive_nce(predictions, codes, everyone.flatten(0, 1)[places], lengths, usable)
    by_step = {f"accuracy_{step}": share for step, share in enumerate(accuracies.detach(), 1)}
    return {"loss": losses.mean(), **by_step}
