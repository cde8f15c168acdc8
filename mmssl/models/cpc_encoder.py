"""The network of contrastive predictive coding: five strided convolutions, and a recurrent network over their codes."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mmssl.errors import ConfigError
from mmssl.models.audio_encoder import AudioEncoder, Pool, sound_lengths

RATE_UNIT = 4000
"""With strides 5, s, 2, 2, 2 a code is 10 ms long where s = sample rate / 4000."""


class ChannelNorm(nn.Module):
    """Normalizes each moment over its channels, so that no moment depends on another."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1))

    def forward(self, codes: Float[Tensor, "batch channels times"]) -> Float[Tensor, "batch channels times"]:
        """The same shape."""
        variance, mean = torch.var_mean(codes, dim=1, keepdim=True, correction=0)
        return (codes - mean) * torch.rsqrt(variance + 1e-5) * self.weight + self.bias


class CPCEncoder(AudioEncoder):
    """Codes of 10 ms by convolutions, and a context that has heard all codes so far; a cell's features are its context.

    Sound is brought to one loudness first. The strides are 5, s, 2, 2, 2 with s = 4 at 16 kHz and 2 at 8 kHz, and kernels are
    twice as long as strides, so that a code stays 10 ms and sees 29 ms at each rate.

    Args:
        sample_rate: In hertz; a multiple of 4000.
        code_dim: Channels of the convolutions.
        context_dim: Of the recurrent network.
        context: Kind of recurrent network.
        num_layers: Of the recurrent network.
        embed: What features and embeddings are made of: the `context`, or the `codes` themselves.
        pool: See `AudioEncoder`.

    Raises:
        ConfigError: If the sample rate is no multiple of 4000.

    Source:
        van den Oord et al. 2018, arXiv:1807.03748; with channel-wise layer norm as Riviere et al. 2020, arXiv:2002.02848.
    """

    def __init__(
        self,
        *,
        sample_rate: int = 16000,
        code_dim: int = 256,
        context_dim: int = 256,
        context: Literal["gru", "lstm"] = "gru",
        num_layers: int = 1,
        embed: Literal["context", "codes"] = "context",
        pool: Pool = "mean_std",
    ) -> None:
        if sample_rate <= 0 or sample_rate % RATE_UNIT:
            raise ConfigError(
                f"sample_rate is {sample_rate}; codes of 10 ms need a multiple of {RATE_UNIT} Hz: resample, for example to 16000"
            )
        super().__init__(
            feature_dim=context_dim if embed == "context" else code_dim,
            stride=sample_rate // 100,
            sample_rate=sample_rate,
            pool=pool,
        )
        self.code_dim = code_dim
        self.context_dim = context_dim
        self.embed = embed
        strides = (5, sample_rate // RATE_UNIT, 2, 2, 2)
        layers: list[nn.Module] = []
        for number, stride in enumerate(strides):
            layers += [
                nn.ConstantPad1d((stride // 2, stride - stride // 2), 0.0),
                nn.Conv1d(code_dim if number else 1, code_dim, 2 * stride, stride, bias=False),
                ChannelNorm(code_dim),
                nn.ReLU(),
            ]
        self.convolutions = nn.Sequential(*layers)
        kind = {"gru": nn.GRU, "lstm": nn.LSTM}[context]
        self.recurrent = kind(code_dim, context_dim, num_layers, batch_first=True)

    def codes(self, sound: Float[Tensor, "batch 1 samples"]) -> Float[Tensor, "batch times code_dim"]:
        """A code each 10 ms, `ceil(samples / stride)` of them."""
        filled = functional.pad(_at_one_loudness(sound), (0, -sound.shape[2] % self.stride))
        codes: Tensor = self.convolutions(filled)
        return codes.transpose(1, 2)

    def contexts(self, codes: Float[Tensor, "batch times code_dim"]) -> Float[Tensor, "batch times context_dim"]:
        """What has been heard up to each code, that one included."""
        contexts: Tensor = self.recurrent(codes)[0]
        return contexts

    def features(self, sound: Float[Tensor, "batch 1 samples"]) -> Float[Tensor, "batch feature_dim cells"]:
        """Contexts or codes; see `AudioEncoder`."""
        codes = self.codes(sound)
        return (self.contexts(codes) if self.embed == "context" else codes).transpose(1, 2)


def _at_one_loudness(sound: Float[Tensor, "batch 1 samples"]) -> Float[Tensor, "batch 1 samples"]:
    """Windows scaled to a root mean square of 1, silence at their end left out."""
    energy = sound.square().sum(2) / sound_lengths(sound)[:, None].clamp_min(1)
    return sound * torch.rsqrt(energy + 1e-8)[:, :, None]
