"""From a manifest row to clips of sound: windows of one length and rate, cut to the sample."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float32
from torch import Tensor
from torch.nn.functional import pad

from mmssl.data.manifest import ManifestRow
from mmssl.errors import ConfigError, DecodeError
from mmssl.functional.random import ItemRandom
from mmssl.media.audio import read_audio, sound_span
from mmssl.media.clip import Clip
from mmssl.media.sampling import Sampler, sample_clips
from mmssl.media.segment import PastEnd
from mmssl.media.video import Size

GRID_SECONDS = 0.01
"""Windows begin a whole number of these after the begin of their segment."""

ROUNDING_SECONDS = 0.1
"""By how much a header may claim more sound than there is, as containers count in whole blocks."""

LONGEST_READ_SECONDS = 60.0
_SAMPLE_TOLERANCE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Sound:
    """What a frame of a clip is where sound is wanted: a window of one length, at one rate, of one channel.

    Args:
        sample_rate: Hertz that everything is resampled to.
        window_seconds: Length of a window.
        channel: Which channel to hear, from 0; the mean of all where not given.
        too_short: What becomes of a segment shorter than a window: `pad` puts silence behind it, `loop` repeats it, `error`
            rejects it.
        min_seconds: Shorter segments are rejected whatever `too_short` says.
        silence_db: Clips whose root mean square lies below so many decibels of full scale, such as -60, are left out; none
            where not given.

    Raises:
        ConfigError: If a value is out of range.
    """

    sample_rate: int = 16000
    window_seconds: int | float = 1.28
    channel: int | None = None
    too_short: Literal["pad", "loop", "error"] = "pad"
    min_seconds: int | float = 0.05
    silence_db: int | float | None = None

    def __post_init__(self) -> None:
        if self.sample_rate <= 0 or self.num_samples < 1:
            raise ConfigError(
                f"sound: sample_rate {self.sample_rate} and window_seconds {self.window_seconds} must be above 0"
            )
        if self.min_seconds < 0 or (self.channel is not None and self.channel < 0):
            raise ConfigError(f"sound: min_seconds {self.min_seconds} and channel {self.channel} must not be negative")

    @property
    def num_samples(self) -> int:
        """Samples of a window."""
        return round(self.window_seconds * self.sample_rate)


@dataclass(frozen=True)
class PicturesAndSound:
    """What a clip is where pictures are wanted together with the sound of the same stretch of time.

    Args:
        size: Height and width of the pictures.
        sound: The window of sound that begins with the clip's first frame.
    """

    size: Size
    sound: Sound


ClipSize = Size | Sound | PicturesAndSound
"""Height and width of pictures, windows of sound in their place, or both beside each other."""


def frame_shape(size: ClipSize) -> tuple[int, ...]:
    """Shape of a frame: `(3, height, width)` of pictures, `(1, samples)` of sound."""
    if isinstance(size, Sound):
        return 1, size.num_samples
    return 3, *(size.size if isinstance(size, PicturesAndSound) else size)


def frame_dtype(size: ClipSize) -> torch.dtype:
    """Uint8 of pictures, float32 of sound."""
    return torch.float32 if isinstance(size, Sound) else torch.uint8


def decode_sound(
    path: Path, row: ManifestRow, *, sampler: Sampler, sound: Sound, seed: int, epoch: int, item: int
) -> list[Clip]:
    """Decodes the windows of sound that a sampler picks from a row's recording, or from the sound track of its video.

    A window begins at the moment at which the sampler asks for a frame, and lies whole within the row's segment unless
    that is shorter than a window. Of a long file only the neighborhood of its windows is read.

    Args:
        path: The row's file.
        row: Gives the segment.
        sampler: See `mmssl.media.sampling`; any that needs no motion.
        sound: What a window is.
        seed: Of the run.
        epoch: Pass over the data.
        item: The row's position, which its random numbers belong to.

    Raises:
        MediaError: If the row is an image, has no sound, or its sound cannot be decoded to what was asked for.
    """
    if row.media_type == "image":
        raise DecodeError(f"{path}: is an image, which has no sound")
    if getattr(sampler, "needs_motion", False):
        raise DecodeError(f"{path}: the sampler goes by what moves in pictures; choose another for sound")
    start, end = sound_segment(path, row, past_end=sampler.past_end)
    if end - start < max(sound.min_seconds, 1 / sound.sample_rate):
        raise DecodeError(
            f"{path}: {max(end - start, 0):.4f} s of sound are shorter than min_seconds {sound.min_seconds}"
        )
    room = end - start - sound.window_seconds
    if room < -_SAMPLE_TOLERANCE and sound.too_short == "error":
        raise DecodeError(
            f"{path}: {end - start:.3f} s of sound are shorter than a window of {sound.window_seconds} s; set too_short to "
            "pad or loop, or ask for shorter windows"
        )
    count = int(max(room, 0.0) / GRID_SECONDS + _SAMPLE_TOLERANCE) + 1
    moments = start + GRID_SECONDS * torch.arange(count, dtype=torch.float64)
    try:
        chosen = sample_clips(
            sampler, moments, start_seconds=start, end_seconds=None, random=ItemRandom(seed, epoch, [item])
        )
    except DecodeError as error:
        raise DecodeError(f"{path}: {error}") from error
    wanted = sorted({place for clip in chosen for place in clip})
    begins = [float(moments[place]) for place in wanted]
    windows = dict(zip(wanted, sound_windows(path, begins, end, sound), strict=True))
    clips = []
    for places in chosen:
        frames = torch.stack([windows[place][0] for place in places])[:, None]
        times = torch.tensor([windows[place][1] for place in places], dtype=torch.float64)
        if sound.silence_db is None or level_db(frames) >= sound.silence_db:
            clips.append(Clip(frames, times))
    if not clips:
        raise DecodeError(f"{path}: none of its {len(chosen)} clips is louder than silence_db {sound.silence_db}")
    return clips


def level_db(samples: Float32[Tensor, "*shape"]) -> float:
    """Root mean square in decibels of full scale; minus infinity for silence."""
    return float(10 * samples.double().square().mean().log10())


def sound_segment(path: Path, row: ManifestRow, *, past_end: PastEnd) -> tuple[float, float]:
    """Begin and end of the sound in a row's segment, the end no later than the file's.

    Raises:
        MediaError: If the file has no sound.
        DecodeError: If the segment ends after the file and `past_end` is `error`.
    """
    file_begin, file_end = sound_span(path)
    start = file_begin if row.start is None else float(row.start)
    if row.end is not None and row.end > file_end + ROUNDING_SECONDS and past_end == "error":
        raise DecodeError(
            f"{path}: the segment ends at {row.end:.3f} s, but the sound at {file_end:.3f} s; correct the row, or set "
            "past_end to repeat_last, loop or shorten"
        )
    return start, file_end if row.end is None else min(float(row.end), file_end)


def sound_windows(
    path: Path, begins: Sequence[float], end: float, sound: Sound
) -> list[tuple[Float32[Tensor, " samples"], float]]:
    """The window that begins at each of some ascending moments, and the time of its first sample.

    Args:
        path: The file.
        begins: The moments, in seconds on the file's time axis.
        end: Where the segment ends; what a window lacks there is filled up as `sound.too_short` says.
        sound: What a window is.

    Raises:
        DecodeError: If there is no such channel, or the sound breaks off before its header says.
    """
    found = []
    for group in _groups(begins, sound.window_seconds):
        waveform = read_audio(
            path,
            sample_rate=sound.sample_rate,
            start_seconds=group[0],
            end_seconds=min(end, group[-1] + sound.window_seconds + 2 / sound.sample_rate),
            mono=sound.channel is None,
        )
        channel = sound.channel or 0
        if channel >= len(waveform.samples):
            raise DecodeError(f"{path}: has {len(waveform.samples)} channel(s), so that there is no channel {channel}")
        samples = waveform.samples[channel]
        for begin in group:
            first = ceil((begin - waveform.start_seconds) * sound.sample_rate - _SAMPLE_TOLERANCE)
            window = pad(
                samples[max(first, 0) : max(first + sound.num_samples, 0)], (min(max(-first, 0), sound.num_samples), 0)
            )
            expected = min(sound.num_samples, int((end - begin) * sound.sample_rate))
            if len(window) < expected - ROUNDING_SECONDS * sound.sample_rate:
                raise DecodeError(
                    f"{path}: its sound breaks off at {begin + len(window) / sound.sample_rate:.3f} s, although its header "
                    f"says that it lasts until {end:.3f} s"
                )
            found.append((_filled(window, sound), waveform.start_seconds + first / sound.sample_rate))
    return found


def _groups(begins: Sequence[float], window_seconds: int | float) -> list[list[float]]:
    """Neighboring windows together, as far as reading what lies between them is no waste."""
    groups: list[list[float]] = []
    for begin in begins:
        near = groups and begin <= groups[-1][-1] + 2 * window_seconds
        if near and begin + window_seconds - groups[-1][0] <= LONGEST_READ_SECONDS:
            groups[-1].append(begin)
        else:
            groups.append([begin])
    return groups


def _filled(window: Float32[Tensor, " found"], sound: Sound) -> Float32[Tensor, " samples"]:
    """A window that is too short, made as long as it has to be."""
    missing = sound.num_samples - len(window)
    if missing == 0:
        return window.clone()
    if sound.too_short == "loop":
        return window[torch.arange(sound.num_samples) % len(window)]
    return pad(window, (0, missing))
