"""Dense contrast: each cell of a view finds the cell of another view that shows the same place, by its features alone."""

from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmssl.functional.correspondence import matching_cells, most_central
from mmssl.functional.dense_contrastive import dense_info_nce
from mmssl.functional.gather import gather_with_gradient, rank_offset
from mmssl.functional.random_walk import return_accuracy, return_loss, transitions
from mmssl.functional.spotlight import spotlight
from mmssl.models.encoder import Encoder
from mmssl.objectives.objective import Batch, Objective, Output

_PICTURED_CLIPS = 4


class DenseContrastive(Objective):
    """Two crops of one frame, each with colors of its own; which cells show the same place is known from the crops.

    All other cells repel: those of the same image teach to tell its places apart, those of other images what is common to
    an image's places. With `num_frames: 2` in the view the second crop still is of the first frame.

    Args:
        encoder: See `Objective`.
        temperature: Of the softmax over cells.
        other_images: Whether cells of the batch's other images are among those to choose from.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "separate_crops", "num_frames": 1}
    source = "Florence et al. 2018, arXiv:1806.08756, with the loss of van den Oord et al. 2018, arXiv:1807.03748"
    looks_across_batch = True

    def __init__(self, encoder: Encoder, *, temperature: float = 0.1, other_images: bool = True) -> None:
        super().__init__(encoder)
        self.temperature = temperature
        self.other_images = other_images

    def forward(self, batch: Batch) -> Output:
        """The mean loss of both directions.

        Returns:
            Also `accuracy`, the share of cells whose match is the most similar one of its image, and
            `accuracy_in_place`, that of matches which are the cell's own place in the view.
        """
        first, second = self._maps(batch)
        cells = (first.shape[2], first.shape[3])
        a, b = (maps.flatten(2).transpose(1, 2) for maps in (first, second))
        there = matching_cells(batch["boxes"][:, 0], batch["boxes"][:, -1], cells)
        back = matching_cells(batch["boxes"][:, -1], batch["boxes"][:, 0], cells)
        loss = (self._loss(a, b, there) + self._loss(b, a, back)) / 2
        chosen = transitions(a.detach(), b.detach(), temperature=self.temperature)
        own_place = torch.eye(chosen.shape[1], device=chosen.device).expand_as(chosen)
        return {
            "loss": loss,
            "accuracy": return_accuracy(chosen, there),
            "accuracy_in_place": return_accuracy(own_place, there),
        }

    def _maps(self, batch: Batch) -> tuple[Float[Tensor, "batch dim h w"], Float[Tensor, "batch dim h w"]]:
        """Feature maps of the first crop and the last."""
        crops = batch["frames"][:, [0, -1]]
        maps = self.encoder.features(crops.flatten(0, 1))
        first, second = maps.reshape(-1, 2, *maps.shape[1:]).unbind(1)
        return first, second

    def _loss(
        self,
        queries: Float[Tensor, "batch cells dim"],
        keys: Float[Tensor, "batch cells dim"],
        matches: Int[Tensor, "batch cells"],
    ) -> Float[Tensor, ""]:
        if not self.other_images:
            return return_loss(transitions(queries, keys, temperature=self.temperature), matches)
        everyone = gather_with_gradient(keys.flatten(0, 1)).reshape(-1, *keys.shape[1:])
        return dense_info_nce(
            queries, everyone, matches, temperature=self.temperature, offset=rank_offset(len(queries))
        )

    def _pictures(self, batch: Batch) -> dict[str, Float[Tensor, "3 height width"]]:
        """For a cell in the middle of a few images: where it is, where its features find it, where it should be found."""
        few = {key: value[:_PICTURED_CLIPS] for key, value in batch.items()}
        first, second = self._maps(few)
        cells = (first.shape[2], first.shape[3])
        matches = matching_cells(few["boxes"][:, 0], few["boxes"][:, -1], cells)
        start = most_central(matches, cells)
        place = torch.eye(matches.shape[1], device=matches.device)
        right = matches.gather(1, start[:, None])[:, 0].clamp_min(0)
        a, b = (maps.flatten(2).transpose(1, 2) for maps in (first, second))
        found = place[start][:, None] @ transitions(a, b, temperature=self.temperature)
        before, after = few["frames"][:, 0], few["frames"][:, -1]
        shown = [
            spotlight(images, weights.reshape(-1, *cells))
            for images, weights in ((before, place[start]), (after, found), (after, place[right]))
        ]
        return {
            "a cell, where it is found in the other crop, where it is": torch.cat([*torch.cat(shown, dim=3)], dim=1)
        }
