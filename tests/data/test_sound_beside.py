"""Pictures come with the sound of the same stretch of time, to the sample, and rows without it are refused in one line."""

import json
from pathlib import Path

import pytest
import torch

from mmssl.config import Recipe, build
from mmssl.data.clip_store import ClipStore
from mmssl.data.dataset import SubsetClips, footage_of, sound_rate_of
from mmssl.data.decoding import decode_row
from mmssl.data.manifest import ManifestRow, write_manifest
from mmssl.data.sound import PicturesAndSound, Sound
from mmssl.errors import ClipStoreError, ConfigError, DecodeError, MediaError, StageError
from mmssl.media.clip import Clip
from mmssl.media.encode import VideoWriter
from mmssl.media.sampling import SAMPLER_CHOICE
from mmssl.stages.run import run
from tests.media.test_audio import CLICKS, write_track
from tests.training.tiny import TinyClips

RATE = 16000
FPS = 20
LATE = 0.2
TRACKS = {
    "aac.mp4": ("aac", 44100, 0.0),
    "aac_late.mp4": ("aac", 44100, LATE),
    "aac.mkv": ("aac", 48000, 0.0),
    "opus.mkv": ("libopus", 48000, 0.0),
    "mp3.mp4": ("libmp3lame", 44100, 0.0),
}
WINDOWS = {"name": "windows", "seconds_between_frames": 1 / FPS, "seconds_between_clips": 0.45}


def footage(path: Path, *, num_frames: int = 9, sampler: object = WINDOWS, **settings: object) -> list[Clip]:
    row = {name: settings.pop(name) for name in ("start", "end") if name in settings}
    sound = {"sample_rate": RATE, "window_seconds": num_frames / FPS} | settings
    return decode_row(
        path,
        ManifestRow("a", path.name, "video", **row),  # type: ignore[arg-type]
        sampler=build(sampler, SAMPLER_CHOICE, num_frames=num_frames),  # type: ignore[arg-type]
        size=PicturesAndSound((8, 8), Sound(**sound)),  # type: ignore[arg-type]
        seed=0,
        epoch=0,
        item=0,
    )


def write_film(path: Path, *, seconds: float = 3.0) -> Path:
    write_track(path, "aac", 16000, with_pictures=True, fps=FPS, seconds=seconds)
    return path


@pytest.mark.parametrize("name", TRACKS)
def test_a_click_is_where_the_flash_is(name: str, tmp_path: Path) -> None:
    """In MP4 with an encoder's delay, in tracks that begin late, and from 44.1 and 48 kHz at 16 kHz."""
    codec, rate, begin = TRACKS[name]
    write_track(tmp_path / name, codec, rate, with_pictures=True, begin=begin, fps=FPS)
    flashes, found = [], []
    for clip in footage(tmp_path / name):
        assert clip.sound is not None
        assert clip.sound.shape == (1, round(9 / FPS * RATE))
        bright = clip.frames.float().mean((1, 2, 3))
        flashes += clip.pts_seconds[bright > 128].tolist()
        if float(clip.sound.abs().max()) > 0.5:
            found.append(float(clip.pts_seconds[0]) + int(clip.sound[0].abs().argmax()) / RATE)
    assert flashes == pytest.approx(list(CLICKS))
    assert found == pytest.approx([at + begin for at in CLICKS], abs=1.5 / RATE)


def test_clips_in_any_order_of_time_have_their_own_sound(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4")
    sampler = {"name": "random", "seconds_between_frames": 1 / FPS, "num_clips": 6}
    clips = footage(path, sampler=sampler, num_frames=20)
    starts = [float(clip.pts_seconds[0]) for clip in clips]
    assert starts != sorted(starts)
    for clip in clips:
        assert clip.sound is not None
        for place in torch.nonzero(clip.frames.float().mean((1, 2, 3)) > 128).flatten().tolist():
            at = round(float(clip.pts_seconds[place] - clip.pts_seconds[0]) * RATE)
            assert clip.sound[0, max(0, at - 3) : at + 4].abs().max() > 0.5


def test_sound_that_begins_after_the_picture_or_ends_before_it(tmp_path: Path) -> None:
    write_track(tmp_path / "late.mp4", "aac", 44100, with_pictures=True, begin=LATE, fps=FPS)
    first = footage(tmp_path / "late.mp4")[0].sound
    assert first is not None
    assert not first[0, : round((LATE - 0.03) * RATE)].any()
    short = write_film(tmp_path / "short.mp4", seconds=1.6)
    clips = footage(short)
    assert [float(clip.pts_seconds[0]) for clip in clips] == pytest.approx([0.0, 0.45, 0.9, 1.35])
    assert clips[-1].sound is not None
    assert not clips[-1].sound[0, round(0.3 * RATE) :].any()
    with pytest.raises(DecodeError, match=r"short\.mp4: only 0\.000 s of sound lie beside a clip that wants a window"):
        footage(short, too_short="error")
    with pytest.raises(DecodeError, match=r"beside none of its 1 clips lie 0\.05 s of sound; the sound ends at 1\.6"):
        footage(short, start=2.0, end=2.5)


def test_a_segment_ends_for_sound_too(tmp_path: Path) -> None:
    (clip,) = footage(write_film(tmp_path / "a.mp4"), start=0.3, end=0.8, window_seconds=1.2)
    assert clip.sound is not None
    assert clip.sound[0, : round(0.5 * RATE)].abs().max() > 0.5
    assert not clip.sound[0, round(0.5 * RATE) :].any()


def test_quiet_clips_are_left_out(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4")
    loud = [float(clip.pts_seconds[0]) for clip in footage(path, silence_db=-50)]
    assert loud == pytest.approx([0.45, 0.9, 1.8])
    with pytest.raises(DecodeError, match="louder than silence_db -5;"):
        footage(path, silence_db=-5)


def test_rows_without_sound_or_pictures_become_rejects(tmp_path: Path) -> None:
    write_film(tmp_path / "a.mp4")
    with VideoWriter(tmp_path / "silent.mp4", fps=FPS, size=(32, 32)) as writer:
        for _ in range(20):
            writer.write(torch.zeros(3, 32, 32, dtype=torch.uint8))
    (tmp_path / "text.mp4").write_text("no film")
    kinds = {"a": "a.mp4", "b": "silent.mp4", "c": "text.mp4"}
    write_manifest(tmp_path / "m.jsonl", [ManifestRow(name, file, "video") for name, file in kinds.items()])
    entry = {
        "stage": "decode",
        "manifest": str(tmp_path / "m.jsonl"),
        "size": 8,
        "num_frames": 9,
        "sound": {"sample_rate": RATE, "window_seconds": 0.45},
        "sampler": WINDOWS,
        "max_reject_fraction": 0.7,
    }
    run(Recipe({"name": "a", "stages": {"clips": entry}}), out=tmp_path / "run", workers=1)
    lines = (tmp_path / "run" / "clips" / "rejects.jsonl").read_text().splitlines()
    rejects = {line["id"]: line["message"] for line in map(json.loads, lines)}
    assert list(rejects) == ["b", "c"]
    assert "has no sound track (streams: video:h264)" in rejects["b"]

    store = ClipStore(tmp_path / "run" / "clips" / "store")
    store.verify()
    clips = footage(tmp_path / "a.mp4")
    assert (sound_rate_of(store), store.sample_rate, store.num_samples) == (RATE, None, 7200)
    some = footage_of(SubsetClips(store, [3, 1, 0]), [0, 1])
    assert torch.equal(some.frames, torch.stack([clips[3].frames, clips[1].frames]))
    assert torch.equal(some.sound, torch.stack([clip.sound for clip in (clips[3], clips[1]) if clip.sound is not None]))
    assert some.seconds[0].tolist() == pytest.approx([place / FPS for place in range(9)])

    fly = Recipe({"name": "b", "stages": {"clips": entry | {"on_the_fly": True}}})
    with pytest.raises(StageError, match="pictures with their sound have to be stored"):
        run(fly, out=tmp_path / "fly", workers=1)
    data = tmp_path / "run" / "clips" / "store" / "shard-00000.bin"
    content = bytearray(data.read_bytes())
    content[-1] ^= 255
    data.write_bytes(content)
    with pytest.raises(ClipStoreError, match="are damaged"):
        ClipStore(data.parent).verify()


def test_what_has_no_sound_is_refused(tmp_path: Path) -> None:
    image = ManifestRow("a", "a.png", "image")
    sampler = build("uniform", SAMPLER_CHOICE, num_frames=1)
    size = PicturesAndSound((8, 8), Sound())
    with pytest.raises(MediaError, match="is an image, which has no sound"):
        decode_row(tmp_path / "a.png", image, sampler=sampler, size=size, seed=0, epoch=0, item=0)
    with pytest.raises(ConfigError, match="set both size and sound in the decode stage"):
        footage_of(TinyClips(), [0])
