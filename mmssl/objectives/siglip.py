"""SigLIP: of each pair of an image and a caption it is asked on its own whether they belong together."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mmssl.functional.image_text import ROWS_AT_ONCE, AllPairs, siglip_loss
from mmssl.models.encoder import Encoder
from mmssl.objectives.clip import CLIP
from mmssl.objectives.locked_towers import Tower

INITIAL_BIAS = -10.0
INITIAL_TEMPERATURE = 0.1


class SigLIP(CLIP):
    """CLIP with a sigmoid for each pair in the place of the softmax over the batch; scale and bias are learned.

    Args:
        encoder: See `CLIP`.
        initial_bias: What is added to the scaled similarities at the start; most pairs do not belong together.
        initial_temperature: What 1 over the scale starts at.
        micro_batch: See `CLIP`, as the rest.
        rows_at_once: See `CLIP`.
        image_from: See `CLIP`.
        text_from: See `CLIP`.
        lock: See `CLIP`.
        lock_stages: See `CLIP`.
    """

    source = "Zhai et al. 2023, arXiv:2303.15343"

    def __init__(
        self,
        encoder: Encoder,
        *,
        initial_bias: float = INITIAL_BIAS,
        initial_temperature: float | None = INITIAL_TEMPERATURE,
        micro_batch: int | None = None,
        rows_at_once: int = ROWS_AT_ONCE,
        image_from: str | None = None,
        text_from: str | None = None,
        lock: list[Tower] | None = None,
        lock_stages: dict[Tower, int] | None = None,
    ) -> None:
        super().__init__(
            encoder,
            micro_batch=micro_batch,
            rows_at_once=rows_at_once,
            image_from=image_from,
            text_from=text_from,
            lock=lock,
            lock_stages=lock_stages,
            initial_temperature=initial_temperature,
        )
        self.bias = nn.Parameter(torch.tensor(initial_bias))

    def _loss(
        self,
        images: Float[Tensor, "batch dim"],
        texts: Float[Tensor, "batch dim"],
        scale: Float[Tensor, ""],
        captions: Int[Tensor, " batch"],
        everyone: AllPairs,
    ) -> Float[Tensor, ""]:
        return siglip_loss(
            images,
            texts,
            scale=scale,
            bias=self.bias,
            captions=captions,
            everyone=everyone,
            rows_at_once=self.rows_at_once,
        )
