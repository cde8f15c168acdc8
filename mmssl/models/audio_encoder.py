"""What every encoder of sound shares: how its codes over time become one embedding, and where sound ends."""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmssl.functional.sound_effects import sound_lengths
from mmssl.models.encoder import Encoder

Pool = Literal["mean", "mean_std"]


class AudioEncoder(Encoder):
    """An encoder of windows of sound, `[batch, 1, samples]`, whose feature map has a cell each `stride` samples.

    Silence that fills a window up, zeros from the last other sample on, is no part of the embedding.

    Args:
        feature_dim: Channels of a feature map.
        stride: Samples per cell.
        sample_rate: In hertz.
        pool: What the embedding keeps of the cells over time: their `mean`, or `mean_std`, mean and standard deviation.
    """

    sample_rate: int

    def __init__(self, *, feature_dim: int, stride: int, sample_rate: int, pool: Pool) -> None:
        super().__init__()
        self.input = "sound"
        self.feature_dim = feature_dim
        self.stride = stride
        self.sample_rate = sample_rate
        self.pool = pool
        self.dim = 2 * feature_dim if pool == "mean_std" else feature_dim

    def forward(self, sound: Float[Tensor, "batch 1 samples"]) -> Float[Tensor, "batch dim"]:
        """Embeds windows of sound; the embeddings are not normalised."""
        features = self.features(sound)
        heard = self.heard_cells(sound, features.shape[2])[:, None].to(features.dtype)
        count = heard.sum(2)
        mean = (features * heard).sum(2) / count
        if self.pool == "mean":
            return mean
        variance = ((features - mean[:, :, None]).square() * heard).sum(2) / count
        return torch.cat((mean, variance.clamp_min(1e-10).sqrt()), dim=1)

    def features(self, sound: Float[Tensor, "batch 1 samples"]) -> Float[Tensor, "batch feature_dim cells"]:
        """Feature maps; `cells = ceil(samples / stride)`."""
        raise NotImplementedError

    def num_heard_cells(self, sound: Float[Tensor, "batch 1 samples"], num_cells: int) -> Int[Tensor, " batch"]:
        """How many cells of each window lie before the silence that fills it up; one at least."""
        return (sound_lengths(sound) // self.stride).clamp(1, num_cells)

    def heard_cells(self, sound: Float[Tensor, "batch 1 samples"], num_cells: int) -> Bool[Tensor, "batch cells"]:
        """Which cells these are."""
        lengths = self.num_heard_cells(sound, num_cells)
        return torch.arange(num_cells, device=sound.device) < lengths[:, None]
