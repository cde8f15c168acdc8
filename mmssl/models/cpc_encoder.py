"""The network of contrastive predictive coding: codes of sound or of its spectrum, and a network over what was heard so far."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mmssl.errors import ConfigError
from mmssl.functional.sound_effects import sound_lengths
from mmssl.models.audio_encoder import AudioEncoder, Pool
from mmssl.models.causal_transformer import CausalTransformer
from mmssl.models.spectral import LogMel

RATE_UNIT = 4000
"""With strides 5, s, 2, 2, 2 a code is 10 ms long where s = sample rate / 4000."""

NUM_MELS = 40


class TimeConvolution(nn.Module):
    """A convolution over time of what has its channels last, zeros beside it; as many cells as strides fit into the input.

    A kernel that cannot stand evenly over its stride reaches further to the right. In this layout convolution, norm over
    channels and the next convolution need no copy in between.

    Args:
        in_channels: Of the input.
        out_channels: Of the output.
        kernel: Its length.
        stride: Cells of the input for each of the output.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.Conv1d(in_channels, out_channels, kernel, bias=False).weight.detach())
        self.stride = stride

    def forward(self, cells: Float[Tensor, "batch times channels"]) -> Float[Tensor, "batch cells out_channels"]:
        """The convolution."""
        kernel = self.weight.shape[2]
        before, after = (kernel - self.stride) // 2, (kernel - self.stride + 1) // 2
        if cells.shape[2] == 1:
            seen = functional.pad(cells[..., 0], (before, after)).unfold(1, kernel, self.stride)
            return seen @ self.weight[:, 0].T
        if before != after:
            cells, before = functional.pad(cells, (0, 0, before, after)), 0
        weight = self.weight[:, :, None].contiguous(memory_format=torch.channels_last)
        found = functional.conv2d(
            cells.transpose(1, 2)[:, :, None], weight, stride=(1, self.stride), padding=(0, before)
        )
        return found[:, :, 0].transpose(1, 2)


class CPCEncoder(AudioEncoder):
    """Codes of 10 ms by convolutions, and a context that has heard all codes so far; a cell's features are its context.

    Sound is brought to one loudness first. From `sound`, the strides are 5, s, 2, 2, 2 with s = 4 at 16 kHz and 2 at 8 kHz, and
    kernels are twice as long as strides, so that a code stays 10 ms and sees 29 ms at each rate. From `log_mel`, a convolution
    over three cells and one over a single one take the place of the five; there is less to learn, and a step takes a fraction
    of the time.

    Args:
        sample_rate: In hertz; a multiple of 4000 from `sound`.
        front: What the convolutions see.
        code_dim: Channels of the convolutions.
        context_dim: Of the network over the codes; a multiple of 4 for a transformer.
        context: Kind of network over the codes: recurrent, or a causal transformer.
        num_layers: Of that network.
        embed: What features and embeddings are made of: the `context`, the `codes` themselves, or `all` layers side by side,
            the spectrum too where there is one. Contexts say what is spoken, codes and spectrum also by whom.
        pool: See `AudioEncoder`.

    Raises:
        ConfigError: If the sample rate is no multiple of 4000.

    Source:
        van den Oord et al. 2018, arXiv:1807.03748; with channel-wise layer norm as Riviere et al. 2020, arXiv:2002.02848; from
        log-mel spectra as van Niekerk et al. 2020, arXiv:2005.09409.
    """

    def __init__(
        self,
        *,
        sample_rate: int = 16000,
        front: Literal["sound", "log_mel"] = "sound",
        code_dim: int = 256,
        context_dim: int = 256,
        context: Literal["gru", "lstm", "transformer"] = "gru",
        num_layers: int = 1,
        embed: Literal["context", "codes", "all"] = "context",
        pool: Pool = "mean_std",
    ) -> None:
        if sample_rate <= 0 or (sample_rate % RATE_UNIT and front == "sound"):
            raise ConfigError(
                f"sample_rate is {sample_rate}; codes of 10 ms need a multiple of {RATE_UNIT} Hz: resample, for example to 16000"
            )
        super().__init__(
            feature_dim={
                "context": context_dim,
                "codes": code_dim,
                "all": code_dim + context_dim + (NUM_MELS if front == "log_mel" else 0),
            }[embed],
            stride=sample_rate // 100,
            sample_rate=sample_rate,
            pool=pool,
        )
        self.code_dim = code_dim
        self.context_dim = context_dim
        self.embed = embed
        self.log_mel = LogMel(sample_rate=sample_rate, num_mels=NUM_MELS, range_db=60.0) if front == "log_mel" else None
        self.convolutions = _over_sound(sample_rate, code_dim) if self.log_mel is None else _over_mel(code_dim)
        self.recurrent: nn.Module
        if context == "transformer":
            self.recurrent = CausalTransformer(code_dim, context_dim, num_layers=num_layers)
        else:
            kind = {"gru": nn.GRU, "lstm": nn.LSTM}[context]
            self.recurrent = kind(code_dim, context_dim, num_layers, batch_first=True)

    def codes(self, sound: Float[Tensor, "batch 1 samples"]) -> Float[Tensor, "batch times code_dim"]:
        """A code each 10 ms, `ceil(samples / stride)` of them."""
        codes: Tensor = self.convolutions(self._seen(sound).transpose(1, 2))
        return codes

    def _seen(self, sound: Float[Tensor, "batch 1 samples"]) -> Float[Tensor, "batch channels cells"]:
        """What the convolutions are given."""
        filled = functional.pad(sound, (0, -sound.shape[2] % self.stride))
        return _at_one_loudness(filled) if self.log_mel is None else self.log_mel.leveled(filled)

    def contexts(self, codes: Float[Tensor, "batch times code_dim"]) -> Float[Tensor, "batch times context_dim"]:
        """What has been heard up to each code, that one included."""
        found = self.recurrent(codes)
        contexts: Tensor = found[0] if isinstance(found, tuple) else found
        return contexts

    def features(self, sound: Float[Tensor, "batch 1 samples"]) -> Float[Tensor, "batch feature_dim cells"]:
        """What `embed` says; see `AudioEncoder`."""
        codes = self.codes(sound)
        if self.embed == "codes":
            return codes.transpose(1, 2)
        contexts = self.contexts(codes)
        if self.embed == "context":
            return contexts.transpose(1, 2)
        spectrum = [self._seen(sound).transpose(1, 2)] if self.log_mel is not None else []
        return torch.cat((*spectrum, codes, contexts), dim=2).transpose(1, 2)


def _over_sound(sample_rate: int, code_dim: int) -> nn.Sequential:
    """From samples to codes."""
    layers: list[nn.Module] = []
    for number, stride in enumerate((5, sample_rate // RATE_UNIT, 2, 2, 2)):
        layers += _layer(code_dim if number else 1, code_dim, 2 * stride, stride)
    return nn.Sequential(*layers)


def _over_mel(code_dim: int) -> nn.Sequential:
    """From bands to codes."""
    layers: list[nn.Module] = []
    for channels, kernel in ((NUM_MELS, 3), (code_dim, 1)):
        layers += _layer(channels, code_dim, kernel, 1)
    return nn.Sequential(*layers)


def _layer(in_channels: int, out_channels: int, kernel: int, stride: int) -> list[nn.Module]:
    """A convolution, each moment normalized over its channels, so that none depends on another, and what is above zero."""
    return [
        TimeConvolution(in_channels, out_channels, kernel, stride),
        nn.LayerNorm(out_channels),
        nn.ReLU(inplace=True),
    ]


def _at_one_loudness(sound: Float[Tensor, "batch 1 samples"]) -> Float[Tensor, "batch 1 samples"]:
    """Windows scaled to a root mean square of 1, silence at their end left out."""
    energy = sound.square().sum(2) / sound_lengths(sound)[:, None].clamp_min(1)
    return sound * torch.rsqrt(energy + 1e-8)[:, :, None]
