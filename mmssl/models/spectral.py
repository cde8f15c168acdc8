"""Encoders of sound without weights: what a spectrum on the mel scale and its cepstrum say, as trained encoders have to beat."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from mmssl.models.audio_encoder import AudioEncoder, Pool

WINDOW_SECONDS = 0.025
TYPICAL_DB = 15.0
"""About the standard deviation of speech over bands and moments."""


class LogMel(AudioEncoder):
    """Logarithms of the power in bands of the mel scale, each 10 ms.

    Args:
        sample_rate: In hertz.
        num_mels: Bands.
        range_db: What lies below the loudest of a window by more is cut off.
        pool: See `AudioEncoder`.
    """

    window: Tensor
    bands: Tensor

    def __init__(
        self, *, sample_rate: int = 16000, num_mels: int = 40, range_db: float = 80.0, pool: Pool = "mean_std"
    ) -> None:
        from torchaudio.functional import melscale_fbanks

        super().__init__(feature_dim=num_mels, stride=sample_rate // 100, sample_rate=sample_rate, pool=pool)
        self.range_db = range_db
        length = round(WINDOW_SECONDS * sample_rate)
        self.fft_size = 1 << (length - 1).bit_length()
        self.register_buffer("window", torch.hann_window(length), persistent=False)
        bands = melscale_fbanks(self.fft_size // 2 + 1, 20.0, sample_rate / 2, num_mels, sample_rate, norm="slaney")
        self.register_buffer("bands", bands, persistent=False)

    def features(self, sound: Float[Tensor, "batch 1 samples"]) -> Float[Tensor, "batch feature_dim cells"]:
        """Decibels of each band; see `AudioEncoder`."""
        cells = -(-sound.shape[2] // self.stride)
        missing = (cells - 1) * self.stride + len(self.window) - sound.shape[2]
        before = (len(self.window) - self.stride) // 2
        frames = functional.pad(sound[:, 0], (before, missing - before)).unfold(1, len(self.window), self.stride)
        power = torch.fft.rfft(frames * self.window, self.fft_size).abs().square() @ self.bands
        floor = (power.amax((1, 2), keepdim=True) * 10 ** (-self.range_db / 10)).clamp_min(1e-10)
        decibels: Tensor = 10 * power.maximum(floor).log10()
        return decibels.transpose(1, 2)

    def leveled(self, sound: Float[Tensor, "batch 1 samples"]) -> Float[Tensor, "batch feature_dim cells"]:
        """The same at one loudness, as networks take it: less each window's mean, by 15 dB; 0 where silence fills it up."""
        level = self.features(sound)
        heard = self.heard_cells(sound, level.shape[2])[:, None].to(level.dtype)
        mean = (level * heard).sum((1, 2), keepdim=True) / (self.feature_dim * heard.sum((1, 2), keepdim=True))
        return (level - mean) / TYPICAL_DB * heard


class MFCC(AudioEncoder):
    """Mel-frequency cepstral coefficients and how they change, each 10 ms.

    Args:
        sample_rate: In hertz.
        num_coefficients: Of the cepstrum; a cell has as many again for the changes.
        num_mels: Bands that they are computed from.
        pool: See `AudioEncoder`.

    Source:
        Davis and Mermelstein 1980, doi:10.1109/TASSP.1980.1163420; changes by regression over five cells.
    """

    basis: Tensor

    def __init__(
        self, *, sample_rate: int = 16000, num_coefficients: int = 20, num_mels: int = 40, pool: Pool = "mean_std"
    ) -> None:
        from torchaudio.functional import create_dct

        super().__init__(
            feature_dim=2 * num_coefficients, stride=sample_rate // 100, sample_rate=sample_rate, pool=pool
        )
        self.log_mel = LogMel(sample_rate=sample_rate, num_mels=num_mels)
        self.register_buffer("basis", create_dct(num_coefficients, num_mels, "ortho"), persistent=False)

    def features(self, sound: Float[Tensor, "batch 1 samples"]) -> Float[Tensor, "batch feature_dim cells"]:
        """Coefficients, then their changes; after the last sound the last coefficients stay."""
        from torchaudio.functional import compute_deltas

        cepstrum = (self.log_mel.features(sound).transpose(1, 2) @ self.basis).transpose(1, 2)
        last = self.num_heard_cells(sound, cepstrum.shape[2])[:, None] - 1
        place = torch.arange(cepstrum.shape[2], device=sound.device).minimum(last)
        held = cepstrum.gather(2, place[:, None].expand_as(cepstrum))
        return torch.cat((held, compute_deltas(held)), dim=1)
