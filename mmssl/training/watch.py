"""A look at the encoder's embeddings now and then, to see a collapse that the loss does not show."""

import torch

from mmssl.data.dataset import ClipSource
from mmssl.functional.collapse import effective_rank, embedding_spread
from mmssl.models.encoder import Encoder

NUM_PROBES = 32


class CollapseWatch:
    """Embeds the middle frames of the same few clips each time it is asked.

    Args:
        source: The clips; up to 32 of them, evenly spaced, are kept.
        device: That the encoder is on.
    """

    def __init__(self, source: ClipSource, *, device: torch.device) -> None:
        count = min(NUM_PROBES, len(source))
        clips = source.clips([number * len(source) // count for number in range(count)])
        self._images = clips[:, clips.shape[1] // 2].clone()
        self._device = device

    def look(self, encoder: Encoder) -> dict[str, float]:
        """`spread` and `effective_rank` of the embeddings; the encoder is left as it was."""
        modes = [(module, module.training) for module in encoder.modules()]
        encoder.eval()
        with torch.no_grad():
            embeddings = encoder(self._images.to(self._device).float() / 255)
        for module, training in modes:
            module.training = training
        return {"spread": embedding_spread(embeddings).item(), "effective_rank": effective_rank(embeddings).item()}
