"""Frame order verification: whether the frame in the middle lies between the two around it."""

from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mmssl.errors import ConfigError
from mmssl.functional.order import IN_ORDER, NUM_FRAMES, OUT_OF_ORDER, order_loss, order_tuples
from mmssl.models.encoder import Encoder
from mmssl.models.heads import DifferenceHead, TupleHead
from mmssl.objectives.objective import Batch, Objective, Output


class FrameOrder(Objective):
    """Tells tuples of three frames in order from tuples with the same end frames and another one in the middle.

    Each frame is embedded once, and all six tuples of five frames are made of the embeddings, less the mean over the five: the
    head sees what changes, at its own scale.

    Args:
        encoder: See `Objective`; the same for the three frames.
        hidden_dim: Of the head.
        negative_share: Weight of the tuples out of order, in (0, 1).
        compare: What the head sees: `embeddings` end to end, as in the paper, or the absolute `differences` of each pair, with
            which it learns sooner.
    """

    default_view: ClassVar[dict[str, Any]] = {"name": "ordered_frames", "num_frames": 5}
    source = "Misra et al. 2016 (Shuffle and Learn), arXiv:1603.08561"

    def __init__(
        self,
        encoder: Encoder,
        *,
        hidden_dim: int = 128,
        negative_share: float = 0.75,
        compare: Literal["differences", "embeddings"] = "differences",
    ) -> None:
        super().__init__(encoder)
        self.negative_share = negative_share
        self.normalize = nn.BatchNorm1d(encoder.dim)
        heads = {"differences": DifferenceHead, "embeddings": TupleHead}
        self.head = heads[compare](encoder.dim, num_frames=3, hidden_dim=hidden_dim, num_answers=1)

    @property
    def guesses(self) -> dict[str, float]:
        """One of two answers; both weigh alike."""
        return {"accuracy": 0.5}

    def forward(self, batch: Batch) -> Output:
        """The loss of `frames`, five a clip and ascending in time.

        Returns:
            Also `accuracy`, the mean of that on tuples in order and that on tuples out of order; guessing gives 0.5.

        Raises:
            ConfigError: If the view gives another number of frames.
        """
        loss, accuracy = order_loss(self._logits(batch["frames"]), negative_share=self.negative_share)
        return {"loss": loss, "accuracy": accuracy}

    def _pictures(self, batch: Batch) -> dict[str, Float[Tensor, "3 height width"]]:
        """The tuples of a few clips; the bar below each says by its shade how likely it takes the order to be right."""
        frames = batch["frames"][:4]
        sure = self._logits(frames).sigmoid()
        rows = []
        for clip, shades in zip(frames, sure, strict=True):
            tuples = zip(IN_ORDER[:1] + OUT_OF_ORDER[::2], shades[[0, 2, 4]], strict=True)
            strips = [_strip(clip[list(places)], shade) for places, shade in tuples]
            rows.append(torch.cat(strips, dim=-1))
        title = (
            "in order; middle frame too early; middle frame too late. The bar below is white where it says: in order"
        )
        return {title: torch.cat(rows, dim=-2)}

    def _logits(self, frames: Float[Tensor, "batch frames 3 height width"]) -> Float[Tensor, "batch 6"]:
        if frames.shape[1] != NUM_FRAMES:
            raise ConfigError(
                f"frame_order needs {NUM_FRAMES} frames a clip, its view gives {frames.shape[1]}; set num_frames"
            )
        embeddings = self.encoder(frames.flatten(0, 1)).reshape(*frames.shape[:2], -1)
        changes = self.normalize((embeddings - embeddings.mean(1, keepdim=True)).flatten(0, 1)).view_as(embeddings)
        logits: Tensor = self.head(order_tuples(changes))
        return logits[..., 0]


def _strip(frames: Float[Tensor, "3 3 height width"], shade: Float[Tensor, ""]) -> Float[Tensor, "3 below wide"]:
    """Frames side by side, over a bar in a shade of grey, beside a white gap."""
    picture = torch.cat(tuple(frames), dim=-1)
    thickness = max(2, picture.shape[-2] // 12)
    bar = shade.expand(3, thickness, picture.shape[-1])
    framed = torch.cat((picture, bar, torch.ones_like(bar)), dim=-2)
    return torch.cat((framed, torch.ones(3, framed.shape[-2], thickness, device=framed.device)), dim=-1)
