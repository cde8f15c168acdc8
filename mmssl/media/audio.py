"""Sound from audio files and from the sound tracks of videos, on the file's own time axis."""

from math import ceil, gcd
from pathlib import Path

import av
import numpy as np
import soundfile
import torch
import torchaudio.functional
from av.audio.stream import AudioStream
from av.container import InputContainer
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from mmssl.errors import DecodeError, MediaError
from mmssl.media.clip import Waveform
from mmssl.media.containers import av_errors, check_readable, describe_streams, open_container

_FILTER_WIDTH = 6
"""Zero crossings of the resampling filter on each side."""

_JITTER_SECONDS = 0.05
_LONGEST_GAP_SECONDS = 3600.0

_SECONDS_WORTH_A_SEEK = 10.0
_RUN_UP_SECONDS = 1.0
"""Decoded before what is asked for after a seek: codecs need the blocks before to decode one right."""


def read_audio(
    path: Path,
    *,
    sample_rate: int | None,
    start_seconds: int | float = 0.0,
    end_seconds: int | float | None = None,
    mono: bool = True,
) -> Waveform:
    """Reads sound between two moments of a file's time axis.

    Args:
        path: An audio file, or a video with a sound track; of several tracks the first is read.
        sample_rate: Rate to resample to, in hertz; None for the file's own.
        start_seconds: Where to begin; the waveform begins later where the track does.
        end_seconds: Where to end; None, or past the end, for the track's end. Nothing is padded.
        mono: Whether to average the channels into one.

    Raises:
        MediaError: If the file is missing, empty, no media file, or has no sound.
        DecodeError: If the sound cannot be decoded, holds values that are not finite, or has nothing in the range.
    """
    if sample_rate is not None and sample_rate <= 0:
        raise MediaError(f"{path}: sample_rate is {sample_rate}; it must be above 0, or None for the file's own")
    if end_seconds is not None and end_seconds <= start_seconds:
        raise DecodeError(f"{path}: asked for sound from {start_seconds} s to {end_seconds} s, which is nothing")
    check_readable(path)
    track = _soundfile_track(path) or _av_track(path, start_seconds, end_seconds)
    target = sample_rate or track.sample_rate
    return _cut(path, track, target, start_seconds, end_seconds, mono)


def write_flac(path: Path, samples: Float[Tensor, " samples"], *, sample_rate: int) -> None:
    """Writes sound of one channel with 16 bits a sample, as browsers play it; what is louder than full scale is clipped."""
    soundfile.write(path, samples.clamp(-1, 1).numpy(), sample_rate, format="FLAC", subtype="PCM_16")


def sound_span(path: Path) -> tuple[float, float]:
    """Begin and end of a file's first sound track in seconds on the file's time axis, without decoding it.

    Headers are believed. Where a container has none for the track, its packets are read through.

    Raises:
        MediaError: If the file is missing, empty, no media file, or has no sound.
        DecodeError: If the track holds nothing.
    """
    check_readable(path)
    track = _soundfile_track(path)
    if track is not None:
        return 0.0, track.num_samples / track.sample_rate
    with open_container(path) as container:
        stream = _sound_stream(path, container)
        unit = float(stream.time_base or 0)
        begin = (stream.start_time or 0) * unit
        if stream.duration:
            return begin, begin + stream.duration * unit
        with av_errors(path):
            ends = [packet.pts + (packet.duration or 0) for packet in container.demux(stream) if packet.pts is not None]
    if not ends:
        raise DecodeError(f"{path}: its sound track holds no samples")
    return begin, max(ends) * unit


class _Track:
    """A track at its own rate, whose sample `n` is at `origin_seconds + n / sample_rate`, available in parts."""

    def __init__(self, path: Path, sample_rate: int, origin_seconds: float, num_samples: int) -> None:
        self.path = path
        self.sample_rate = sample_rate
        self.origin_seconds = origin_seconds
        self.num_samples = num_samples

    def read(self, begin: int, end: int) -> NDArray[np.float32]:
        """Samples `begin` to `end`, [samples, channels]."""
        raise NotImplementedError


class _FileTrack(_Track):
    def read(self, begin: int, end: int) -> NDArray[np.float32]:
        try:
            samples: NDArray[np.float32] = soundfile.read(
                self.path, end - begin, begin, dtype="float32", always_2d=True
            )[0]
        except soundfile.SoundFileError as error:
            raise DecodeError(f"{self.path}: its sound cannot be decoded: {error}") from error
        return samples


class _MemoryTrack(_Track):
    def __init__(self, path: Path, sample_rate: int, origin_seconds: float, samples: NDArray[np.float32]) -> None:
        super().__init__(path, sample_rate, origin_seconds, len(samples))
        self._samples = samples

    def read(self, begin: int, end: int) -> NDArray[np.float32]:
        return self._samples[begin:end]


def _soundfile_track(path: Path) -> _Track | None:
    """The file by libsndfile; None where that does not know it."""
    try:
        facts = soundfile.info(path)
    except soundfile.SoundFileError:
        return None
    return _FileTrack(path, facts.samplerate, 0.0, facts.frames)


def _sound_stream(path: Path, container: InputContainer) -> AudioStream:
    if not container.streams.audio:
        found = ", ".join(describe_streams(container)) or "none"
        raise MediaError(f"{path}: has no sound track (streams: {found})")
    stream = container.streams.audio[0]
    if stream.codec_context is None:
        raise MediaError(f"{path}: its sound track is in a format for which there is no decoder")
    return stream


def _av_track(path: Path, start_seconds: int | float, end_seconds: int | float | None) -> _Track:
    """The first sound track of a container, decoded as far as it is needed, each block at its own time.

    Blocks whose time differs from the end of the one before by less than `_JITTER_SECONDS` follow it directly, because many
    containers round times; a longer gap becomes silence.
    """
    blocks: list[NDArray[np.float32]] = []
    origin = 0.0
    count = 0
    with open_container(path) as container:
        stream = _sound_stream(path, container)
        rate, layout = stream.codec_context.sample_rate, stream.codec_context.layout
        if rate <= 0:
            raise DecodeError(f"{path}: its sound track has no sample rate")
        to_float = av.AudioResampler(format="fltp", layout=layout, rate=rate)
        with av_errors(path):
            if start_seconds > _SECONDS_WORTH_A_SEEK and stream.time_base:
                container.seek(int((start_seconds - _RUN_UP_SECONDS) / stream.time_base), stream=stream)
            for decoded in container.decode(stream):
                moment = decoded.time
                if end_seconds is not None and moment is not None and moment > end_seconds + _RUN_UP_SECONDS:
                    break
                if not blocks:
                    origin = moment or 0.0
                for frame in to_float.resample(decoded):
                    samples = frame.to_ndarray().T
                    shift = 0 if moment is None else round((moment - origin) * rate) - count
                    if abs(shift) > _JITTER_SECONDS * rate:
                        if shift > _LONGEST_GAP_SECONDS * rate:
                            raise DecodeError(
                                f"{path}: its sound jumps from {origin + count / rate:.1f} to {moment:.1f} s"
                            )
                        samples = np.concatenate(
                            [np.zeros((max(shift, 0), samples.shape[1])), samples[max(-shift, 0) :]]
                        )
                    blocks.append(np.asarray(samples, np.float32))
                    count += len(samples)
    if count == 0:
        raise DecodeError(f"{path}: its sound track holds no samples from {start_seconds:.3f} s on")
    return _MemoryTrack(path, rate, origin, np.concatenate(blocks))


def _cut(
    path: Path, track: _Track, rate: int, start_seconds: int | float, end_seconds: int | float | None, mono: bool
) -> Waveform:
    """The samples of the track's grid at `rate` that lie in the range, computed from as much context as the filter sees."""
    if track.num_samples == 0:
        raise DecodeError(f"{path}: its sound track holds no samples")
    total = ceil(track.num_samples * rate / track.sample_rate)
    tiny = 1e-6
    begin = max(0, ceil((start_seconds - track.origin_seconds) * rate - tiny))
    end = total if end_seconds is None else min(total, ceil((end_seconds - track.origin_seconds) * rate - tiny))
    if begin >= end:
        length = track.num_samples / track.sample_rate
        raise DecodeError(
            f"{path}: asked for sound from {start_seconds} s, but its sound runs from {track.origin_seconds:.3f} s to "
            f"{track.origin_seconds + length:.3f} s"
        )
    divisor = gcd(rate, track.sample_rate)
    source_step, target_step = track.sample_rate // divisor, rate // divisor
    margin = ceil(2 * _FILTER_WIDTH * max(1, track.sample_rate / rate)) // source_step + 1
    first_block = max(0, begin // target_step - margin)
    source_begin = first_block * source_step
    source_end = min(track.num_samples, (end // target_step + 1 + margin) * source_step)
    samples = torch.from_numpy(np.ascontiguousarray(track.read(source_begin, source_end).T))
    if not bool(torch.isfinite(samples).all()):
        raise DecodeError(f"{path}: its sound holds values that are not finite")
    if mono:
        samples = samples.mean(0, keepdim=True)
    resampled = _resample(samples, track.sample_rate, rate)
    offset = first_block * target_step
    return Waveform(resampled[:, begin - offset : end - offset].clone(), rate, track.origin_seconds + begin / rate)


def _resample(
    samples: Float[Tensor, "channels samples"], source_rate: int, target_rate: int
) -> Float[Tensor, "channels resampled"]:
    """Windowed-sinc resampling without delay: sample 0 stays where it is."""
    if source_rate == target_rate:
        return samples
    resampled: Tensor = torchaudio.functional.resample(
        samples, source_rate, target_rate, lowpass_filter_width=_FILTER_WIDTH
    )
    return resampled
