"""A residual network over a log-mel spectrogram, for sounds that are told by their texture more than by their order."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mmssl.models.audio_encoder import AudioEncoder, Pool
from mmssl.models.small_resnet import residual_stage
from mmssl.models.spectral import LogMel

REDUCTION = 8


class MelResNet(AudioEncoder):
    """Stem, then residual blocks at 1/4 and 1/8 of the spectrogram; a cell is 80 ms of all bands.

    Loudness is no part of an embedding.

    Args:
        sample_rate: In hertz.
        num_mels: Bands; a multiple of 8.
        feature_dim: Channels of a cell.
        width: Channels at 1/2; twice as many at 1/4, four times at 1/8.
        num_blocks: Residual blocks at 1/4 and at 1/8.
        pool: See `AudioEncoder`.
    """

    def __init__(
        self,
        *,
        sample_rate: int = 16000,
        num_mels: int = 40,
        feature_dim: int = 128,
        width: int = 16,
        num_blocks: tuple[int, int] = (1, 2),
        pool: Pool = "mean_std",
    ) -> None:
        super().__init__(
            feature_dim=feature_dim, stride=REDUCTION * (sample_rate // 100), sample_rate=sample_rate, pool=pool
        )
        self.log_mel = LogMel(sample_rate=sample_rate, num_mels=num_mels)
        self.stem = nn.Sequential(
            nn.Conv2d(1, width, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.middle = residual_stage(width, 2 * width, num_blocks[0], reduction=2)
        self.deep = residual_stage(2 * width, 4 * width, num_blocks[1], reduction=2)
        self.out = nn.Conv2d(4 * width, feature_dim, (num_mels // REDUCTION, 1))

    def features(self, sound: Float[Tensor, "batch 1 samples"]) -> Float[Tensor, "batch feature_dim cells"]:
        """A cell each 80 ms; see `AudioEncoder`."""
        filled = functional.pad(sound, (0, -sound.shape[2] % self.stride))
        level = self.log_mel.leveled(filled)[:, None]
        features: Tensor = self.out(self.deep(self.middle(self.stem(level))))
        return torch.relu(features[:, :, 0])
