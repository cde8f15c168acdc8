"""Windows of sound come at the right sample from whatever holds them, and what holds none is refused in one line."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch.testing import assert_close

from mmssl.config import build
from mmssl.data.clip_store import ClipStore, ClipStoreWriter
from mmssl.data.dataset import ClipItem
from mmssl.data.decoding import decode_row
from mmssl.data.manifest import ManifestRow
from mmssl.data.sound import Sound
from mmssl.errors import ConfigError, DecodeError, MediaError
from mmssl.media.audio import read_audio, sound_span
from mmssl.media.clip import Clip
from mmssl.media.encode import VideoWriter
from mmssl.media.sampling import SAMPLER_CHOICE
from tests.media.test_audio import CLICKS, TRACKS, write_track

RATE = 16000


def windows(
    path: Path, *, sampler: object = "uniform", num_frames: int = 1, seed: int = 0, **settings: object
) -> list[Clip]:
    row = {name: settings.pop(name) for name in ("start", "end") if name in settings}
    return decode_row(
        path,
        ManifestRow("a", path.name, str(settings.pop("media_type", "audio")), **row),  # type: ignore[arg-type]
        sampler=build(sampler, SAMPLER_CHOICE, num_frames=num_frames),  # type: ignore[arg-type]
        size=Sound(**{"sample_rate": RATE, "window_seconds": 0.25} | settings),  # type: ignore[arg-type]
        seed=seed,
        epoch=0,
        item=0,
    )


def write_ramp(path: Path, *, seconds: float, rate: int = RATE) -> np.ndarray:
    """Samples that all differ."""
    samples = (np.arange(round(seconds * rate)) / (seconds * rate) - 0.5).astype(np.float32)
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return samples


@pytest.mark.parametrize("name", TRACKS)
def test_clicks_lie_where_they_are_in_windows_of_another_rate(name: str, tmp_path: Path) -> None:
    """Cut out of 44.1 and 48 kHz, out of MP4 with an encoder's delay, and out of tracks that begin late."""
    codec, rate, with_pictures, begin = TRACKS[name]
    write_track(tmp_path / name, codec, rate, with_pictures=with_pictures, begin=begin)
    sampler = {"name": "windows", "seconds_between_clips": 0.25}
    clips = windows(tmp_path / name, sampler=sampler, start=0.1, end=3.0, media_type="video", too_short="pad")
    found = []
    for clip in clips:
        loud = clip.frames[0, 0].abs()
        if float(loud.max()) > 0.5:
            found.append(float(clip.pts_seconds[0]) + int(loud.argmax()) / RATE)
    begins = [float(clip.pts_seconds[0]) for clip in clips]
    assert begins == pytest.approx([0.1 + 0.25 * place for place in range(11)], abs=1 / RATE)
    assert found == pytest.approx([at + begin for at in CLICKS], abs=1.5 / RATE)


@pytest.mark.parametrize("name", ["wav", "flac", "ogg", "mp3"])
def test_the_span_is_that_of_the_samples(name: str, tmp_path: Path) -> None:
    soundfile.write(tmp_path / f"a.{name}", np.random.default_rng(0).uniform(-0.1, 0.1, 3 * RATE), RATE)
    begin, end = sound_span(tmp_path / f"a.{name}")
    whole = read_audio(tmp_path / f"a.{name}", sample_rate=None)
    assert (begin, end) == pytest.approx((0.0, whole.duration_seconds))


@pytest.mark.parametrize("name", ["aac_late.mp4", "aac_late.mkv", "opus.mkv"])
def test_the_span_of_a_container_is_known_without_decoding(name: str, tmp_path: Path) -> None:
    codec, rate, with_pictures, begin = TRACKS[name]
    write_track(tmp_path / name, codec, rate, with_pictures=with_pictures, begin=begin)
    whole = read_audio(tmp_path / name, sample_rate=None)
    end = whole.start_seconds + whole.duration_seconds
    assert sound_span(tmp_path / name) == pytest.approx((whole.start_seconds, end), abs=0.05)


def test_windows_are_the_samples_of_the_file_wherever_they_are_drawn(tmp_path: Path) -> None:
    samples = write_ramp(tmp_path / "a.wav", seconds=3.0)
    sampler = {"name": "random", "num_clips": 5}
    clips = windows(tmp_path / "a.wav", sampler=sampler, start=0.5, end=2.0)
    begins = [round(float(clip.pts_seconds[0]) * RATE) for clip in clips]
    assert len(set(begins)) > 2
    for clip, begin in zip(clips, begins, strict=True):
        assert 0.5 * RATE <= begin <= 1.75 * RATE
        assert torch.equal(clip.frames[0, 0], torch.from_numpy(samples[begin:][: RATE // 4]))
    assert [clip.pts_seconds.tolist() for clip in windows(tmp_path / "a.wav", sampler=sampler, seed=1)] != [
        clip.pts_seconds.tolist() for clip in clips
    ]


def test_a_long_recording_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_ramp(tmp_path / "a.wav", seconds=200.0, rate=800)
    read: list[float] = []

    def counted(*arguments: object, **settings: object) -> object:
        waveform = read_audio(*arguments, **settings)  # type: ignore[arg-type]
        read.append(waveform.duration_seconds)
        return waveform

    monkeypatch.setattr("mmssl.data.sound.read_audio", counted)
    (clip,) = windows(tmp_path / "a.wav", num_frames=4, sample_rate=800)
    assert clip.pts_seconds.tolist() == pytest.approx([24.97, 74.91, 124.86, 174.80], abs=0.03)
    assert sum(read) < 1.1


def test_what_is_shorter_than_a_window(tmp_path: Path) -> None:
    samples = torch.from_numpy(write_ramp(tmp_path / "a.wav", seconds=0.1))
    (padded,) = windows(tmp_path / "a.wav")
    assert torch.equal(padded.frames[0, 0], torch.cat((samples, torch.zeros(2400))))
    (looped,) = windows(tmp_path / "a.wav", too_short="loop")
    assert torch.equal(looped.frames[0, 0], samples.repeat(3)[:4000])
    with pytest.raises(DecodeError, match=r"0.100 s of sound are shorter than a window of 0.25 s; set too_short"):
        windows(tmp_path / "a.wav", too_short="error")


def test_channels_and_silence(tmp_path: Path) -> None:
    left = np.random.default_rng(0).uniform(-0.5, 0.5, RATE // 2)
    soundfile.write(tmp_path / "a.wav", np.stack([left, np.zeros_like(left)], 1), RATE, subtype="FLOAT")
    both, one = (windows(tmp_path / "a.wav", channel=channel)[0].frames for channel in (None, 0))
    assert_close(both, one / 2)
    with pytest.raises(DecodeError, match=r"a\.wav: none of its 1 clips is louder than silence_db -60"):
        windows(tmp_path / "a.wav", channel=1, silence_db=-60)
    with pytest.raises(DecodeError, match=r"has 2 channel\(s\), so that there is no channel 2"):
        windows(tmp_path / "a.wav", channel=2)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "DOUBLE"])
def test_every_rate_depth_and_number_of_channels_gives_the_same_tone(rate: int, subtype: str, tmp_path: Path) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    soundfile.write(tmp_path / "a.wav", np.repeat(tone[:, None], 8, axis=1), rate, subtype=subtype)
    (clip,) = windows(tmp_path / "a.wav", start=0.5)
    time = float(clip.pts_seconds[0]) + torch.arange(4000, dtype=torch.float64) / RATE
    assert_close(clip.frames[0, 0], (0.5 * torch.sin(2 * torch.pi * 440 * time)).float(), rtol=0, atol=3e-3)


def write_bad(folder: Path, name: str) -> Path:
    path = folder / name
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 2 * RATE)
    if name == "text.wav":
        path.write_text("this is no sound " * 100)
    elif name == "none.wav":
        soundfile.write(path, np.zeros(0), RATE)
    elif name == "one.wav":
        soundfile.write(path, np.ones(1), RATE)
    elif name == "nan.wav":
        noise[RATE] = np.nan
        soundfile.write(path, noise, RATE, subtype="FLOAT")
    elif name == "silent.mp4":
        with VideoWriter(path, fps=10.0, size=(32, 32)) as writer:
            writer.write(torch.zeros(3, 32, 32, dtype=torch.uint8))
    else:
        soundfile.write(path, noise, RATE)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    return path


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("text.wav", "is not a media file"),
        ("none.wav", "0.0000 s of sound are shorter than min_seconds"),
        ("one.wav", "0.0001 s of sound are shorter than min_seconds"),
        ("nan.wav", "not finite"),
        ("silent.mp4", r"has no sound track \(streams: video:h264\)"),
        ("cut.flac", "breaks off|cannot be decoded"),
        ("cut.mp3", "its sound breaks off at 0.5.. s, although its header says that it lasts until 2.000 s"),
        ("cut.ogg", "cut.ogg"),
    ],
)
def test_bad_sound_is_refused_with_its_reason(name: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=reason):
        windows(write_bad(tmp_path, name), sampler={"name": "windows", "seconds_between_clips": 0.25})


def test_what_is_left_of_a_recording_without_a_length_is_taken(tmp_path: Path) -> None:
    clips = windows(write_bad(tmp_path, "cut.wav"), sampler={"name": "windows", "seconds_between_clips": 0.25})
    assert 0.2 < float(clips[-1].pts_seconds[0]) < 0.8


def test_a_segment_past_the_end_is_refused(tmp_path: Path) -> None:
    write_ramp(tmp_path / "a.wav", seconds=1.0)
    with pytest.raises(DecodeError, match=r"ends at 2.000 s, but the sound at 1.000 s; correct the row"):
        windows(tmp_path / "a.wav", end=2.0)
    sampler = {"name": "uniform", "past_end": "shorten"}
    assert windows(tmp_path / "a.wav", sampler=sampler, start=0.9, end=2.0)[0].frames[0, 0, 1600:].abs().max() == 0


def test_settings_that_make_no_sense() -> None:
    for settings in ({"sample_rate": 0}, {"window_seconds": 0}, {"channel": -1}):
        with pytest.raises(ConfigError, match="sound: "):
            Sound(**settings)


def test_a_store_of_sound(tmp_path: Path) -> None:
    sound = Sound(sample_rate=100, window_seconds=0.2)
    clips = []
    for number in range(3):
        clip = Clip(torch.randn(2, 1, 20), torch.tensor([0.0, 0.5], dtype=torch.float64))
        clips.append((ClipItem(f"r{number}#0", f"r{number}", None, None, "g", None, (0.0, 0.5)), clip))
    writer = ClipStoreWriter(tmp_path, num_frames=2, size=sound)
    writer.write_shard(0, clips)
    assert writer.is_done(0)
    assert not ClipStoreWriter(tmp_path, num_frames=2, size=Sound(sample_rate=200, window_seconds=0.1)).is_done(0)
    writer.finish(1)
    store = ClipStore(tmp_path)
    store.verify()
    assert (store.sample_rate, store.num_frames, store.num_samples) == (100, 2, 20)
    assert torch.equal(store.clips([2, 0]), torch.stack([clips[2][1].frames, clips[0][1].frames]))
