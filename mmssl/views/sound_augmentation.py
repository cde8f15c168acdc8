"""The chain that turns a window of sound into another that says the same: pitch, room, noise, lost bands, lost moments."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mmssl.errors import ConfigError
from mmssl.functional.random import ItemRandom
from mmssl.functional.sound_effects import add_noise, mask_time, reject_band, reverberate, shift_pitch

ECHO_SECONDS = 0.3
LONGEST_BAND_SHARE = 0.25
"""Of the frequencies from 0 Hz to half the sample rate, what a rejected band may take."""


@dataclass(frozen=True, kw_only=True)
class SoundAugmentation:
    """What one view of a window of sound is like; each effect is by chance, and by another amount for each window.

    Args:
        sample_rate: Of the windows, in hertz.
        pitch_probability: Of another voice: all frequencies higher or lower, in the same time.
        pitch_semitones: By how many at most, either way.
        reverb_probability: Of a room's echo, which dies away within 50 to 300 ms.
        reverb_wet: Power of the echo at most, over that of the sound.
        noise_probability: Of white noise.
        noise_snr_db: Fewest and most decibels by which the sound is louder than it.
        reject_probability: Of a band without sound, up to a quarter of all frequencies wide.
        mask_probability: Of a silent part.
        mask_share: Longest silent part, as a share of the sound.

    Raises:
        ConfigError: If a value is out of range.

    Source:
        Kharitonov et al. 2020, arXiv:2007.00991.
    """

    sample_rate: int = 16000
    pitch_probability: float = 1.0
    pitch_semitones: float = 4.0
    reverb_probability: float = 0.5
    reverb_wet: float = 0.5
    noise_probability: float = 0.5
    noise_snr_db: tuple[float, float] = (5.0, 30.0)
    reject_probability: float = 0.0
    mask_probability: float = 0.0
    mask_share: float = 0.2

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name.endswith(("probability", "share")) and not 0 <= value <= 1:
                raise ConfigError(f"augmentation: {name} is {value}; it must lie between 0 and 1")
        if self.sample_rate <= 0 or min(self.pitch_semitones, self.reverb_wet) < 0:
            raise ConfigError(
                f"augmentation: sample_rate {self.sample_rate} must be above 0, and pitch_semitones {self.pitch_semitones} "
                f"and reverb_wet {self.reverb_wet} not negative"
            )

    def __call__(
        self, sound: Float[Tensor, "batch 1 samples"], random: ItemRandom, name: str
    ) -> Float[Tensor, "batch 1 samples"]:
        """A view of each window.

        Args:
            sound: Windows.
            random: One item a window.
            name: Of the draws; another name gives another view.
        """
        length = sound.shape[2]

        def chance(effect: str, probability: float) -> Tensor:
            return random.uniform(f"{name}/{effect}") < probability

        def amount(effect: str, low: float, high: float) -> Tensor:
            return random.uniform(f"{name}/{effect}/amount", low=low, high=high)

        if self.pitch_probability > 0:
            semitones = amount("pitch", -self.pitch_semitones, self.pitch_semitones)
            factors = 2 ** (semitones * chance("pitch", self.pitch_probability) / 12)
            sound = shift_pitch(sound, factors, sample_rate=self.sample_rate)
        if self.reverb_probability > 0:
            sound = reverberate(
                sound,
                random.normal(f"{name}/echo", (max(1, round(ECHO_SECONDS * self.sample_rate)),)),
                decay_seconds=random.uniform(f"{name}/decay", low=0.05, high=ECHO_SECONDS),
                wet=amount("reverb", 0.0, self.reverb_wet) * chance("reverb", self.reverb_probability),
                sample_rate=self.sample_rate,
            )
        if self.noise_probability > 0:
            snr_db = amount("noise", *self.noise_snr_db)
            snr_db = torch.where(chance("noise", self.noise_probability), snr_db, torch.inf)
            sound = add_noise(sound, random.normal(f"{name}/hiss", (1, length)), snr_db)
        if self.reject_probability > 0:
            half = self.sample_rate / 2
            width = amount("reject", 0.0, LONGEST_BAND_SHARE * half) * chance("reject", self.reject_probability)
            low = random.uniform(f"{name}/band") * (half - width)
            sound = reject_band(sound, low, low + width, sample_rate=self.sample_rate)
        if self.mask_probability > 0:
            share = amount("mask", 0.0, self.mask_share) * chance("mask", self.mask_probability)
            sound = mask_time(sound, random.uniform(f"{name}/mask/begin"), share)
        return sound
