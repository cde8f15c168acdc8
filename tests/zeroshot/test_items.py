import io
from pathlib import Path

import pytest

from mmssl.data.manifest import ManifestRow, write_manifest
from mmssl.errors import ManifestError
from mmssl.zeroshot.items import find_items
from mmssl.zeroshot.pictures import segments


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("cats/a.jpg", "cats/b.PNG", "dogs/a.jpg", "dogs/bark.wav", "dogs/notes.txt", "clip.mp4"):
        file = tmp_path / "in" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "in"


def test_a_folder_labels_by_the_names_of_classes_and_rejects_sound(folder: Path) -> None:
    rows = {row.id: row for row in find_items(["in"], class_names=["cats"])}
    names = {"in/cats/a.jpg", "in/cats/b.PNG", "in/clip.mp4", "in/dogs/a.jpg", "in/dogs/bark.wav"}
    assert set(rows) == names
    assert [rows[name].label for name in ("in/cats/a.jpg", "in/dogs/a.jpg")] == ["cats", None]
    assert rows["in/dogs/bark.wav"].status == "rejected"
    assert rows["in/clip.mp4"].media_type == "video"


def test_globs_files_and_a_list_each_file_once(folder: Path) -> None:
    listed = io.StringIO("in/dogs/a.jpg\n\nin/gone.jpg\n./in/clip.mp4\n")
    rows = find_items(["in/**/*.jpg", "in/cats/a.jpg", "-"], listed=listed)
    assert [row.uri for row in rows] == ["in/cats/a.jpg", "in/dogs/a.jpg", "in/gone.jpg", "./in/clip.mp4"]


def test_a_manifest_brings_its_labels_and_segments(folder: Path) -> None:
    manifest = folder / "m.jsonl"
    write_manifest(
        manifest,
        [
            ManifestRow(id="one", uri="clip.mp4", media_type="video", start=0.0, end=1.0, label="run"),
            ManifestRow(id="two", uri="clip.mp4", media_type="video", start=1.0, end=2.0, label="sit"),
        ],
    )
    rows = find_items(["in/m.jsonl"])
    assert [(row.id, row.label, row.start) for row in rows] == [("one", "run", 0.0), ("two", "sit", 1.0)]
    assert all(Path(row.uri).is_file() for row in rows)


def test_ids_stay_unique(folder: Path) -> None:
    manifest = folder / "m.jsonl"
    write_manifest(manifest, [ManifestRow(id="in/clip.mp4", uri="cats/a.jpg", media_type="image")])
    assert [row.id for row in find_items(["in/clip.mp4", "in/m.jsonl"])] == ["in/clip.mp4#0", "in/clip.mp4#1"]


@pytest.mark.parametrize("given", ["gone.jpg", "in/*.webp", "empty"])
def test_what_is_not_there_is_refused(folder: Path, given: str) -> None:
    (folder.parent / "empty").mkdir()
    with pytest.raises(ManifestError, match=given.replace("*", r"\*")):
        find_items([given])


def test_segments_cover_the_whole_stretch() -> None:
    assert segments(0.0, 10.0, None) == [(0.0, 10.0)]
    assert segments(1.0, 11.0, 5.0) == [(1.0, 6.0), (6.0, 11.0)]
    assert segments(0.0, 11.0, 5.0) == [(0.0, 5.0), (5.0, 11.0)], "a short rest belongs to the part before it"
    assert segments(0.0, 13.0, 5.0) == [(0.0, 5.0), (5.0, 10.0), (10.0, 13.0)]
    assert segments(0.0, 3.0, 5.0) == [(0.0, 3.0)]
