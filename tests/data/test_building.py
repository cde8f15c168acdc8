import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmssl.data.building import build_manifest, unique_ids, unusable_parts
from mmssl.data.manifest import read_manifest
from mmssl.errors import ManifestError
from mmssl.media.encode import VideoWriter


def write_sound(path: Path, seconds: float = 0.5, rate: int = 8000) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(2 * int(seconds * rate)))


def write_image(path: Path, size: tuple[int, int] = (12, 16)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((*size, 3), np.uint8)).save(path)


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    write_image(folder / "b" / "photo.png")
    write_image(folder / "b" / ".hidden.png")
    write_image(folder / ".hidden" / "photo.png")
    with VideoWriter(folder / "a.mp4", fps=10.0, size=(32, 48)) as video:
        for _ in range(5):
            video.write(torch.zeros(3, 32, 48, dtype=torch.uint8))
    write_sound(folder / "a.wav")
    write_sound(folder / "sound without suffix")
    (folder / "broken.mp4").write_bytes(b"no video at all")
    (folder / "notes.txt").write_text("notes")
    (folder / "LICENSE").write_text("do what you want")
    (folder / "b" / "loop").symlink_to(folder)
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    return folder


def test_a_folder_is_probed_file_by_file(media: Path, tmp_path: Path) -> None:
    manifest = build_manifest(media, tmp_path / "m" / "all.jsonl")
    assert manifest == read_manifest(tmp_path / "m" / "all.jsonl")
    rows = {row.id: row for row in manifest.rows}
    assert list(rows) == ["a.mp4", "a.wav", "broken", "sound without suffix", "b/photo"]
    video, sound, image, broken = rows["a.mp4"], rows["a.wav"], rows["b/photo"], rows["broken"]
    assert video.uri == "../media/a.mp4"
    assert (video.num_frames, video.fps, video.width, video.height) == (5, 10.0, 48, 32)
    assert video.duration_seconds == pytest.approx(0.5)
    assert video.streams == ("video:h264",)
    assert (sound.media_type, sound.sample_rate, sound.num_channels, sound.duration_seconds) == ("audio", 8000, 1, 0.5)
    assert (image.media_type, image.width, image.height) == ("image", 16, 12)
    assert rows["sound without suffix"].media_type == "audio"
    assert (broken.status, broken.media_type) == ("rejected", "video")
    assert list(unusable_parts(manifest.rows)) == [f"../media/broken.mp4: rejected: {broken.error_message}"]
    cut_off = replace(video, num_missing_frames=7)
    assert list(unusable_parts([image, cut_off])) == ["../media/a.mp4: is cut off: after 5 frames, 7 are missing"]
    assert broken.error_type
    assert broken.error_message
    assert all(manifest.resolve(row).is_file() for row in manifest.rows)


def test_without_probing_the_suffix_decides(media: Path, tmp_path: Path) -> None:
    rows = build_manifest(media, media / "own.jsonl", probe=False).rows
    assert [(row.id, row.media_type) for row in rows] == [
        ("a.mp4", "video"),
        ("a.wav", "audio"),
        ("broken", "video"),
        ("b/photo", "image"),
    ]
    assert {row.status for row in rows} == {"ok"}


def test_the_number_of_workers_does_not_matter(media: Path, tmp_path: Path) -> None:
    for workers in (1, 2):
        build_manifest(media, tmp_path / f"{workers}.jsonl", workers=workers)
    assert (tmp_path / "1.jsonl").read_bytes() == (tmp_path / "2.jsonl").read_bytes()


def test_a_manifest_is_probed_again_and_keeps_what_it_knew(media: Path, tmp_path: Path) -> None:
    listed = media / "list.jsonl"
    listed.write_text('{"id": "x", "uri": "a.mp4", "label": "zero", "speaker": 3}\n')
    row = build_manifest(listed, tmp_path / "probed.jsonl").rows[0]
    assert (row.id, row.label, row.extra, row.num_frames) == ("x", "zero", {"speaker": 3}, 5)


def test_numbered_images_are_one_video_when_asked(tmp_path: Path) -> None:
    for number in range(3):
        write_image(tmp_path / "clips" / "walk" / f"{number:05}.png")
        write_image(tmp_path / "clips" / "photos" / f"{'abc'[number]}.png")
    apart = build_manifest(tmp_path / "clips", tmp_path / "a.jsonl", probe=False)
    together = build_manifest(tmp_path / "clips", tmp_path / "b.jsonl", frame_folders=True)
    assert len(apart.rows) == 6
    assert [row.id for row in together.rows] == ["photos/a", "photos/b", "photos/c", "walk"]
    assert (together.rows[3].media_type, together.rows[3].num_frames) == ("video", 3)


def test_a_source_without_media_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError, match="holds no media file"):
        build_manifest(tmp_path / "empty", tmp_path / "m.jsonl")
    with pytest.raises(ManifestError, match="no such folder"):
        build_manifest(tmp_path / "nowhere", tmp_path / "m.jsonl")


def test_ids_are_unique_and_do_not_depend_on_the_order() -> None:
    paths = ["a.mp4", "a.mp4.mp4", "b.wav", "b.mp4", "c.png", "c.png", "d/e.f.png"]
    ids = unique_ids(paths)
    assert ids == ["a", "a.mp4.mp4", "b.wav", "b.mp4", "c#0", "c#1", "d/e.f"]
    assert sorted(unique_ids(paths[::-1])) == sorted(ids)
    assert len(set(ids)) == len(paths)


@pytest.mark.data
def test_every_real_clip_is_probed(real_data: Path, tmp_path: Path) -> None:
    rows = build_manifest(real_data / "videos", tmp_path / "videos.jsonl").rows
    assert len(rows) == len(list((real_data / "videos").iterdir()))
    assert all(row.status == "ok" and row.num_frames and row.duration_seconds for row in rows)
