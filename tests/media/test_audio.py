"""Sound comes at the right time, at the right rate, and the same however it is cut."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import torch
from torch.testing import assert_close

from mmssl.errors import DecodeError, MediaError
from mmssl.media.audio import read_audio
from mmssl.media.clip import Waveform

CLICKS = (0.5, 1.25, 2.0)


def clicks(rate: int) -> np.ndarray:
    """3 s of silence with a short burst around each click."""
    time = np.arange(3 * rate) / rate
    return sum(0.8 * np.exp(-(((time - at) / 2.7e-4) ** 2)) * np.cos((time - at) * 8800) for at in CLICKS).astype(
        np.float32
    )


def write_track(
    path: Path, codec: str, rate: int, *, with_pictures: bool, begin: float = 0.0, fps: int = 25, seconds: float = 3.0
) -> None:
    """Clicks, and pictures that are black but for a white one at each moment of a click that a frame begins at."""
    sound = clicks(rate)[: round(seconds * rate)]
    exact_edits = {"movie_timescale": str(rate)} if path.suffix in (".mp4", ".mov", ".m4a") else {}
    with av.open(str(path), "w", options=exact_edits) as container:
        if with_pictures:
            pictures = container.add_stream("libx264", rate=fps)
            pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        track = container.add_stream(codec, rate=rate, layout="mono")
        track.bit_rate = 128_000
        if with_pictures:
            for number in range(3 * fps):
                planes = np.full((72, 64), 128, np.uint8)
                planes[:48] = 235 if number / fps in CLICKS else 16
                frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
                frame.pts = number
                container.mux(pictures.encode(frame))
            container.mux(pictures.encode(None))
        for at in range(0, len(sound), 1024):
            block = sound[None, at : at + 1024]
            if codec == "pcm_s16le":
                block = (block * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(block, format="s16" if codec == "pcm_s16le" else "fltp", layout="mono")
            frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), at + int(begin * rate)
            container.mux(track.encode(frame))
        container.mux(track.encode(None))


def peak_times(waveform: Waveform) -> list[float]:
    """Time of the loudest sample near each click."""
    loud = waveform.samples[0].abs()
    time = waveform.start_seconds + torch.arange(len(loud)) / waveform.sample_rate
    found = []
    while float(loud.max()) > 0.3:
        found.append(float(time[loud.argmax()]))
        loud = torch.where((time - found[-1]).abs() < 0.1, 0.0, loud)
    return sorted(found)


TRACKS = {
    "aac.m4a": ("aac", 44100, False, 0.0),
    "aac.mp4": ("aac", 44100, True, 0.0),
    "aac_late.mp4": ("aac", 44100, True, 0.2),
    "aac.mkv": ("aac", 44100, True, 0.0),
    "aac_late.mkv": ("aac", 44100, True, 0.2),
    "opus.webm": ("libopus", 48000, False, 0.0),
    "opus.mkv": ("libopus", 48000, True, 0.0),
    "mp3.mp4": ("libmp3lame", 44100, True, 0.0),
    "mp3.mp3": ("libmp3lame", 44100, False, 0.0),
    "pcm.mov": ("pcm_s16le", 44100, False, 0.0),
}


@pytest.mark.parametrize("name", TRACKS)
@pytest.mark.parametrize("start_seconds", [0.0, 1.1])
def test_clicks_come_within_a_millisecond(name: str, start_seconds: float, tmp_path: Path) -> None:
    codec, rate, with_pictures, begin = TRACKS[name]
    write_track(tmp_path / name, codec, rate, with_pictures=with_pictures, begin=begin)
    waveform = read_audio(tmp_path / name, sample_rate=16000, start_seconds=start_seconds)
    assert waveform.sample_rate == 16000
    assert 0.6 < float(waveform.samples.abs().max()) < 1.0
    expected = [at + begin for at in CLICKS if at + begin > start_seconds]
    assert peak_times(waveform) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("rates", [(44100, 16000), (8000, 16000), (16000, 16000), (48000, 44100)])
def test_a_part_is_the_same_as_in_the_whole(rates: tuple[int, int], tmp_path: Path) -> None:
    source, target = rates
    path = tmp_path / "a.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, (2 * source, 2)), source, subtype="FLOAT")
    whole = read_audio(path, sample_rate=target, mono=False)
    part = read_audio(path, sample_rate=target, mono=False, start_seconds=0.5, end_seconds=1.25)
    assert whole.samples.shape == (2, 2 * target)
    assert part.start_seconds == pytest.approx(0.5)
    begin = round(0.5 * target)
    assert_close(part.samples, whole.samples[:, begin : begin + round(0.75 * target)], rtol=0, atol=1e-6)
    mono = read_audio(path, sample_rate=target)
    assert_close(mono.samples[0], whole.samples.mean(0), rtol=0, atol=1e-5)


def test_resampled_tone_is_the_tone(tmp_path: Path) -> None:
    def tone(rate: int) -> np.ndarray:
        return 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)

    soundfile.write(tmp_path / "a.flac", tone(44100), 44100, subtype="PCM_24")
    got = read_audio(tmp_path / "a.flac", sample_rate=16000).samples[0]
    assert_close(got[200:-200], torch.from_numpy(tone(16000)).float()[200:-200], rtol=0, atol=2e-3)


def test_seek_far_into_a_track(tmp_path: Path) -> None:
    rate = 16000
    time = np.arange(30 * rate) / rate
    sweep = (0.5 * np.sin(2 * np.pi * (200 + 20 * time) * time)).astype(np.float32)
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        track = container.add_stream("aac", rate=rate, layout="mono")
        for at in range(0, len(sweep), 1024):
            frame = av.AudioFrame.from_ndarray(sweep[None, at : at + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = rate, at
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
    part = read_audio(tmp_path / "a.mp4", sample_rate=None, start_seconds=20.0, end_seconds=21.0)
    assert part.start_seconds == pytest.approx(20.0, abs=1e-4)
    assert_close(part.samples[0], torch.from_numpy(sweep[20 * rate : 21 * rate]), rtol=0, atol=0.1)


def test_what_there_is_no_sound_for(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(16000), 16000)
    assert read_audio(path, sample_rate=None, start_seconds=0.5, end_seconds=9.0).duration_seconds == pytest.approx(0.5)
    with pytest.raises(
        DecodeError, match=r"a\.wav: asked for sound from 1.5 s, but its sound runs from 0.000 s to 1.000 s"
    ):
        read_audio(path, sample_rate=8000, start_seconds=1.5)
    with pytest.raises(DecodeError, match="which is nothing"):
        read_audio(path, sample_rate=None, start_seconds=0.5, end_seconds=0.5)
    with pytest.raises(MediaError, match="sample_rate is 0"):
        read_audio(path, sample_rate=0)
    soundfile.write(path, np.zeros(0), 16000)
    with pytest.raises(DecodeError, match="no samples"):
        read_audio(path, sample_rate=None)
    soundfile.write(path, np.array([0.0, np.nan, 0.0]), 16000, subtype="FLOAT")
    with pytest.raises(DecodeError, match="not finite"):
        read_audio(path, sample_rate=None)
