"""Contrastive random walk: whoever walks from frame to frame by similarity, there and back, must return to the start."""

import itertools
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmssl.functional.correspondence import matching_cells, most_central
from mmssl.functional.random_walk import palindromes, return_accuracy, return_loss, transitions
from mmssl.functional.spotlight import spotlight
from mmssl.models.encoder import Encoder
from mmssl.objectives.objective import Batch, Objective, Output

_PICTURED_CLIPS = 4


class ContrastiveRandomWalk(Objective):
    """Walks over the nodes of a clip's frames, ahead by 1, 2, ... frames and back.

    The view decides what a node is. From `patches` each patch of a frame is embedded for itself, as in the paper, and a
    walk ends in the frame it began in. From `separate_crops` the cells of one feature map a frame are the nodes, which
    costs far less; a walk then ends in another crop of the frame it began in, at the cell that shows the same place.
    Without separate crops feature maps would learn to tell places in the frame and nothing else.

    Args:
        encoder: See `Objective`.
        temperature: Of the softmax over the nodes of the next frame.
        edge_dropout: Share of the edges that a walker cannot take, drawn for each pair of frames.
        direct_weight: Share in the loss of stepping straight from the first crop to the last, of the same frame;
            0 for the walks alone. Only with `separate_crops`.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "separate_crops", "num_frames": 3}
    source = "Jabri et al. 2020, arXiv:2006.14613"

    def __init__(
        self, encoder: Encoder, *, temperature: float = 0.07, edge_dropout: float = 0.1, direct_weight: float = 0.0
    ) -> None:
        super().__init__(encoder)
        self.temperature = temperature
        self.edge_dropout = edge_dropout
        self.direct_weight = direct_weight

    def forward(self, batch: Batch) -> Output:
        """The mean loss of the walks.

        Returns:
            Also `return_accuracy_K`, the share of walks ahead by K frames that most probably end right;
            with crops `return_accuracy_in_place`, that of ends which are the start's own place in the view; and
            `direct_accuracy`, that of the straight step, where it has a share in the loss.
        """
        nodes, ends = self._nodes(batch)
        walks = self._walks(nodes, batch["draw"])
        output = {
            f"return_accuracy_{length}": return_accuracy(walk.detach(), ends) for length, walk in enumerate(walks, 1)
        }
        loss = torch.stack([return_loss(walk, ends) for walk in walks]).mean()
        if self.direct_weight > 0:
            straight = transitions(nodes[:, 0], nodes[:, -1], temperature=self.temperature)
            output["direct_accuracy"] = return_accuracy(straight.detach(), ends)
            loss = (1 - self.direct_weight) * loss + self.direct_weight * return_loss(straight, ends)
        if "boxes" in batch:
            own_place = torch.eye(nodes.shape[2], device=ends.device).expand(len(ends), -1, -1)
            output["return_accuracy_in_place"] = return_accuracy(own_place, ends)
        return {"loss": loss, **output}

    def _nodes(self, batch: Batch) -> tuple[Float[Tensor, "batch frames nodes dim"], Int[Tensor, "batch nodes"]]:
        """The nodes of the frames and, last, those in which walks end; and the right end of a walk from each node."""
        if "patches" in batch:
            patches = batch["patches"]
            embeddings = self.encoder(patches.flatten(0, 2))
            nodes = embeddings.reshape(*patches.shape[:3], -1)
            ends = torch.arange(nodes.shape[2], device=nodes.device).expand(len(nodes), -1)
            return torch.cat((nodes, nodes[:, :1]), dim=1), ends
        frames, boxes = batch["frames"], batch["boxes"]
        maps = self.encoder.features(frames.flatten(0, 1))
        nodes = maps.flatten(2).transpose(1, 2).reshape(*frames.shape[:2], -1, maps.shape[1])
        return nodes, matching_cells(boxes[:, 0], boxes[:, -1], (maps.shape[2], maps.shape[3]))

    def _walks(
        self, nodes: Float[Tensor, "batch frames nodes dim"], draw: Int[Tensor, " batch"]
    ) -> list[Float[Tensor, "batch start end"]]:
        """Walks ahead by 1, 2, ... frames and back to the last entry of `nodes`."""
        frames = list(nodes[:, :-1].unbind(1))
        homes = [nodes[:, -1], *frames[1:-1]]
        pairs = [*itertools.pairwise(frames), *zip(frames[1:], homes, strict=True)]
        dropped = self._dropped(draw, edges=(len(pairs), nodes.shape[2], nodes.shape[2]))
        steps = [
            transitions(*pair, temperature=self.temperature, dropped=None if dropped is None else dropped[:, number])
            for number, pair in enumerate(pairs)
        ]
        return palindromes(steps[: len(homes)], steps[len(homes) :])

    def _dropped(
        self, draw: Int[Tensor, " batch"], *, edges: tuple[int, int, int]
    ) -> Bool[Tensor, "batch pairs from to"] | None:
        """Which edges of each item cannot be taken, from its own random number, so that it is the same in any batch."""
        if self.edge_dropout <= 0:
            return None
        drawn = [torch.rand(edges, generator=torch.Generator().manual_seed(seed)) for seed in draw.tolist()]
        return (torch.stack(drawn) < self.edge_dropout).to(draw.device)

    def _pictures(self, batch: Batch) -> dict[str, Float[Tensor, "3 height width"]]:
        """Where a walker from the middle of a few clips' first frames is in each frame, on the longest walk."""
        few = {key: value[:_PICTURED_CLIPS] for key, value in batch.items()}
        nodes, ends = self._nodes(few)
        frames = few["frames"]
        if "patches" in few:
            frames = torch.cat((frames, frames[:, :1]), dim=1)
        side = round(nodes.shape[2] ** 0.5)
        start = most_central(ends, (side, side))
        place = torch.eye(side**2, device=nodes.device)[start][:, None]
        walk, columns = place, [place]
        order = [*range(frames.shape[1] - 1), *range(frames.shape[1] - 3, 0, -1), frames.shape[1] - 1]
        for left, entered in itertools.pairwise(order):
            walk = walk @ transitions(nodes[:, left], nodes[:, entered], temperature=self.temperature)
            columns.append(walk)
        right = torch.eye(side**2, device=nodes.device)[ends.gather(1, start[:, None])[:, 0].clamp_min(0)][:, None]
        shown = [
            spotlight(frames[:, number], weights.reshape(-1, side, side))
            for number, weights in zip([*order, order[-1]], [*columns, right], strict=True)
        ]
        rows = [torch.cat([column[item] for column in shown], dim=2) for item in range(len(frames))]
        return {"walk from one node, ahead and back; last, where it should end": torch.cat(rows, dim=1)}
