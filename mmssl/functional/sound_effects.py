"""What a room, a microphone or another voice does to sound, for a batch at once, each window by its own amount.

Samples that are zero up to the end of a window are taken for silence that fills it up, and stay zero; see `sound_lengths`.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

GRAIN_SECONDS = 0.05
DECAY_DB = 60.0
"""How far a room's echo has fallen after its reverberation time."""


def sound_lengths(sound: Float[Tensor, "batch 1 samples"]) -> Int[Tensor, " batch"]:
    """Samples of each window up to its last one that is not zero."""
    places = torch.arange(1, sound.shape[2] + 1, device=sound.device)
    return ((sound[:, 0] != 0) * places).amax(1)


def shift_pitch(
    sound: Float[Tensor, "batch 1 samples"], factors: Float[Tensor, " batch"], *, sample_rate: int
) -> Float[Tensor, "batch 1 samples"]:
    """Multiplies all frequencies, those of the voice and those of the mouth, and leaves each moment where it is.

    Grains of 50 ms, each half over the next, are read faster or slower around their centers and added under windows that sum
    to one, as delay lines do it.

    Args:
        sound: Windows.
        factors: > 0; 1 leaves a window as it is.
        sample_rate: In hertz.
    """
    length = sound.shape[2]
    half = max(1, round(GRAIN_SECONDS * sample_rate / 2))
    times = torch.arange(length, device=sound.device)
    shifted = torch.zeros_like(sound[:, 0])
    for begin in (0, half):
        center = (times - begin).div(2 * half, rounding_mode="floor") * 2 * half + begin + half
        weight = torch.cos(torch.pi * (times - center) / (2 * half)).square()
        place = (center + (times - center) * factors[:, None]).clamp(0, length - 1)
        before = place.floor().long().clamp(max=max(length - 2, 0))
        share = place - before
        after = (before + 1).clamp(max=length - 1)
        shifted += weight * (sound[:, 0].gather(1, before) * (1 - share) + sound[:, 0].gather(1, after) * share)
    return _as_long(shifted[:, None], sound)


def reverberate(
    sound: Float[Tensor, "batch 1 samples"],
    noise: Float[Tensor, "batch echo"],
    *,
    decay_seconds: Float[Tensor, " batch"],
    wet: Float[Tensor, " batch"],
    sample_rate: int,
) -> Float[Tensor, "batch 1 samples"]:
    """Adds the echo of a room: sound filtered by noise that dies away, which begins with the next sample.

    Args:
        sound: Windows.
        noise: Standard normal; its length is how long an echo is followed.
        decay_seconds: Time in which an echo falls by 60 dB; > 0.
        wet: Power of all echoes over that of the sound that caused them; 0 leaves a window as it is.
        sample_rate: In hertz.
    """
    seconds = torch.arange(noise.shape[1], device=sound.device) / sample_rate
    echo = noise * 10 ** (-DECAY_DB / 20 * seconds / decay_seconds[:, None])
    echo = echo * (wet / echo.square().sum(1).clamp_min(1e-12)).sqrt()[:, None]
    size = sound.shape[2] + noise.shape[1]
    spectrum = torch.fft.rfft(sound[:, 0], size) * torch.fft.rfft(echo, size)
    echoes = torch.fft.irfft(spectrum, size)[:, : sound.shape[2] - 1]
    heard = sound.clone()
    heard[:, 0, 1:] += echoes
    return _as_long(heard, sound)


def add_noise(
    sound: Float[Tensor, "batch 1 samples"], noise: Float[Tensor, "batch 1 samples"], snr_db: Float[Tensor, " batch"]
) -> Float[Tensor, "batch 1 samples"]:
    """Adds noise of unit power at a distance below each window's own power.

    Args:
        sound: Windows; the power is that of the part before the silence that fills up.
        noise: As loud as 1.
        snr_db: Power of the sound over that of the noise, in decibels; infinity adds none.
    """
    power = sound.square().sum((1, 2)) / sound_lengths(sound).clamp_min(1)
    loudness = (power * 10 ** (-snr_db / 10)).sqrt()
    return _as_long(sound + noise * loudness[:, None, None], sound)


def reject_band(
    sound: Float[Tensor, "batch 1 samples"],
    low_hz: Float[Tensor, " batch"],
    high_hz: Float[Tensor, " batch"],
    *,
    sample_rate: int,
) -> Float[Tensor, "batch 1 samples"]:
    """Takes the frequencies from `low_hz` to `high_hz` out; none where they are equal."""
    length = sound.shape[2]
    frequencies = torch.fft.rfftfreq(2 * length, 1 / sample_rate, device=sound.device)
    inside = (frequencies >= low_hz[:, None]) & (frequencies < high_hz[:, None])
    spectrum = torch.fft.rfft(sound, 2 * length).masked_fill(inside[:, None], 0)
    return _as_long(torch.fft.irfft(spectrum, 2 * length)[..., :length], sound)


def mask_time(
    sound: Float[Tensor, "batch 1 samples"], begin: Float[Tensor, " batch"], share: Float[Tensor, " batch"]
) -> Float[Tensor, "batch 1 samples"]:
    """Silences a part of each window, that which fills it up left out; its last sample stays.

    Args:
        sound: Windows.
        begin: Where the silence begins, from 0 to 1 of what room it has.
        share: Length of the silence over that of the sound, 0 to 1.
    """
    lengths = sound_lengths(sound)
    count = (share * lengths).floor()
    first = (begin * (lengths - count)).floor()
    times = torch.arange(sound.shape[2], device=sound.device)
    masked: Bool[Tensor, "batch samples"] = (times >= first[:, None]) & (times < (first + count)[:, None])
    return sound.masked_fill((masked & (times != lengths[:, None] - 1))[:, None], 0.0)


def _as_long(changed: Float[Tensor, "batch 1 samples"], sound: Float[Tensor, "batch 1 samples"]) -> Tensor:
    """What has changed, as long as the sound it was: the last sample is not zero, those behind it are."""
    lengths = sound_lengths(sound)[:, None, None]
    times = torch.arange(sound.shape[2], device=sound.device)
    return torch.where(times < lengths - 1, changed, torch.where(times < lengths, _not_zero(changed), 0.0))


def _not_zero(samples: Tensor) -> Tensor:
    smallest = torch.finfo(samples.dtype).tiny
    return torch.where(samples == 0, smallest, samples)
