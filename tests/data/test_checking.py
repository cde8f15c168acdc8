import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mmssl.data.checking import check_manifest
from mmssl.data.manifest import ManifestRow, write_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b", "c"):
        Image.new("RGB", (16, 12)).save(tmp_path / f"{name}.png")
    (tmp_path / "frames").mkdir()
    return tmp_path


def faults_of(folder: Path, *rows: dict[str, Any] | str, read_data: bool = False) -> list[tuple[int, str]]:
    path = folder / "m.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return [(fault.line, fault.message) for fault in check_manifest(path, read_data=read_data)]


def row(row_id: str, uri: str = "a.png", **values: Any) -> dict[str, Any]:
    return {"id": row_id, "uri": uri, **values}


def test_a_sound_manifest_has_no_fault(folder: Path) -> None:
    good = row("1", start=0.0, end=1.0, duration_seconds=1.0, caption="a", split="train", group="g", label="x")
    assert faults_of(folder, good, row("2", "b.png", split="test"), row("3", "frames/", media_type="video")) == []
    assert faults_of(folder, good, row("2", "gone.png", status="rejected")) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"uri": "gone.png"}, "uri: there is no file"),
        ({"uri": "gone/a.png"}, "uri: there is no file"),
        ({"uri": "https://x.org/a.png"}, "download it first"),
        ({"uri": "frames", "media_type": "image"}, "only a video may be a folder"),
        ({"masks": "nomasks"}, "masks: there is no file or folder"),
        ({"start": 2.0, "end": 2.0}, "start: 2.0 s is not before end"),
        ({"start": -1.0}, "start: -1.0 is not a time"),
        ({"end": 3.0, "duration_seconds": 2.0}, "end: 3.0 s is past the end of the file"),
        ({"start": 2.0, "duration_seconds": 2.0}, "start: 2.0 s is past the end of the file"),
        ({"caption": " "}, "caption: is empty"),
        ({"label": ""}, "label: is empty"),
        ({"fps": 0.0}, "fps: 0.0 is not positive"),
        ({"media_type": "hologram"}, "media_type: 'hologram' is not known"),
        ({"num_frames": 5, "num_missing_frames": 7}, "num_missing_frames: the file is cut off: it holds 5 of the 12"),
        ({"num_frames": 2.5}, "num_frames: expected a whole number, got 2.5"),
    ],
)
def test_each_fault_is_found_on_its_line(folder: Path, values: dict[str, Any], message: str) -> None:
    found = faults_of(folder, row("1"), {**row("2"), **values})
    assert [line for line, _ in found] == [2]
    assert message in found[0][1]


def test_all_faults_come_in_one_pass(folder: Path) -> None:
    found = faults_of(
        folder,
        row("1", split="train", group="g"),
        "{not json",
        row("1", "b.png", split="test", group="g", start=5.0, end=4.0, caption=""),
        row("2", "a.png", split="test"),
        row("3", "c.png", split="test", group="g"),
        '{"id": "4", "uri": "c.p',
    )
    assert [line for line, _ in found] == [2, 3, 3, 3, 3, 4, 6]
    text = "\n".join(message for _, message in found)
    for part in (
        "is not JSON",
        "also that of line 1",
        "start: 5.0",
        "caption: is empty",
        "group: 'g' stands",
        "uri: 'a.png'",
    ):
        assert part in text


def test_times_that_are_no_number_are_found_in_parquet(tmp_path: Path) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    table = {"id": ["1", "2"], "uri": ["a.png"] * 2, "start": [float("nan"), 1.0], "end": [1.0, float("inf")]}
    parquet.write_table(pyarrow.table(table), tmp_path / "m.parquet")
    faults = [(fault.line, fault.message[:6]) for fault in check_manifest(tmp_path / "m.parquet")]
    assert faults == [(1, "start:"), (2, "end: i")]


def test_reading_the_data_finds_files_that_are_not_what_the_row_says(folder: Path) -> None:
    (folder / "c.png").write_bytes(b"not a picture")
    rows = row("1", width=16), row("2", "b.png", width=17), row("3", "c.png"), row("4", "c.png")
    assert faults_of(folder, *rows) == []
    found = faults_of(folder, *rows, read_data=True)
    assert [line for line, _ in found] == [2, 3, 4]
    assert found[0][1] == "width: is 17, but the file has 16"
    assert "Error" in found[1][1]


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_a_file_without_rows_is_one_fault(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.jsonl").write_bytes(content)
    faults = check_manifest(tmp_path / "m.jsonl")
    assert [fault.line for fault in faults] == [0]
    assert "holds no row" in faults[0].message
    assert "cannot be read" in check_manifest(tmp_path / "none.jsonl")[0].message


def test_files_are_found_wherever_the_manifest_lies(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "m.jsonl"
    write_manifest(
        path, [ManifestRow("1", "a.png", "image"), ManifestRow("2", str(folder / "b.png"), "image")], root=folder
    )
    assert check_manifest(path) == []
