"""A look at the encoder's embeddings now and then, to see a collapse that the loss does not show."""

import sys

import torch
from torch import Tensor

from mmssl.data.dataset import ClipSource, evenly_spaced
from mmssl.errors import TrainingError
from mmssl.functional.collapse import alignment, collapse_warning, effective_rank, embedding_spread, uniformity
from mmssl.functional.random import ItemRandom
from mmssl.models.encoder import Encoder, encoder_input
from mmssl.models.modes import looking_only
from mmssl.views.view import View

NUM_CLIPS = 128
IMAGES_AT_ONCE = 32
PAIR = ("view_1", "view_2")


class CollapseWatch:
    """Embeds the middle frames of the same clips each time it is asked, and their two views where the view makes two.

    Args:
        source: The clips; up to 128 of them, evenly spaced, are kept.
        view: Of the training; alignment is measured where it gives `view_1` and `view_2`.
        seed: Of these views.
        device: That the encoder is on.
    """

    def __init__(self, source: ClipSource, view: View, *, seed: int, device: torch.device) -> None:
        positions = evenly_spaced(len(source), NUM_CLIPS)
        clips = source.clips(positions)
        self._images = clips[:, clips.shape[1] // 2].clone()
        with torch.no_grad():
            hears = getattr(view, "hears", False)
            self._pair = [] if hears else _pair(view(clips[:1], ItemRandom(seed, 0, positions[:1])))
            if self._pair:
                self._pair = _pair(view(clips, ItemRandom(seed, 0, positions)))
        self._device = device
        self._warned = False

    def look(self, encoder: Encoder) -> dict[str, float]:
        """`spread`, `effective_rank` and `uniformity` of the embeddings, and `alignment`; the encoder is left as it was.

        The first time that they look collapsed, it says so on standard error.

        Raises:
            TrainingError: If an embedding is not finite, which a step that was too large leaves behind.
        """
        with looking_only(encoder):
            embeddings = self._embed(encoder, self._images)
            if not torch.isfinite(embeddings).all():
                raise TrainingError("the encoder's embeddings are no longer finite; lower lr or set clip_norm")
            found = {
                "spread": embedding_spread(embeddings).item(),
                "effective_rank": effective_rank(embeddings).item(),
                "uniformity": uniformity(embeddings).item(),
            }
            if self._pair:
                a, b = (self._embed(encoder, images) for images in self._pair)
                found["alignment"] = alignment(a, b).item()
        warning = collapse_warning(found["spread"], found["effective_rank"])
        if warning is not None and not self._warned:
            print(f"warning: {warning}: has the training collapsed?", file=sys.stderr, flush=True)
            self._warned = True
        return found

    def _embed(self, encoder: Encoder, images: Tensor) -> Tensor:
        parts = torch.split(images, IMAGES_AT_ONCE)
        return torch.cat([encoder(encoder_input(part.to(self._device))).float() for part in parts])


def _pair(batch: dict[str, Tensor]) -> list[Tensor]:
    """The two views of whole images; nothing where the view makes something else."""
    pair = [batch[name] for name in PAIR if name in batch and batch[name].ndim == 4]
    return pair if len(pair) == len(PAIR) else []
