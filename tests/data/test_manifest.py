from dataclasses import replace
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from mmssl.data.manifest import (
    Manifest,
    ManifestRow,
    media_type_of,
    read_manifest,
    relocated,
    row_from_json,
    row_to_json,
    write_manifest,
)
from mmssl.errors import ManifestError

ROWS = (
    ManifestRow(id="a", uri="x/a.mp4", media_type="video", start=0.5, end=1.0, streams=("video:h264", "audio:aac")),
    ManifestRow(
        id="b",
        uri="b.wav",
        media_type="audio",
        label="dög",
        sample_rate=8000,
        status="rejected",
        error_type="MediaError",
        error_message="empty",
        extra={"speaker": 3, "nested": {"x": [1, None, {"y": 2.5}]}, "nothing": None},
    ),
)


@pytest.mark.parametrize("name", ["m.jsonl", "m.parquet"])
def test_rows_come_back_as_they_were_written(tmp_path: Path, name: str) -> None:
    write_manifest(tmp_path / name, ROWS)
    assert read_manifest(tmp_path / name).rows == ROWS
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_json_of_a_row_comes_back() -> None:
    for row in ROWS:
        assert row_from_json(row_to_json(row)) == row


def test_unknown_columns_are_kept_in_extra(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"id": "a", "uri": "a.mp4", "speaker": {"age": 7, "names": ["x", null]}, "score": 0.25}\n')
    row = read_manifest(path).rows[0]
    assert row.extra == {"speaker": {"age": 7, "names": ["x", None]}, "score": 0.25}
    write_manifest(tmp_path / "m.parquet", [row])
    write_manifest(tmp_path / "again.jsonl", read_manifest(tmp_path / "m.parquet").rows)
    assert read_manifest(tmp_path / "again.jsonl").rows == (row,)


def test_native_columns_of_a_foreign_parquet_file_are_kept_in_extra(tmp_path: Path) -> None:
    columns = {"id": ["a", "b"], "uri": ["a.mp4", "b.png"], "speaker": [{"age": 7}, None], "start": [1, None]}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "m.parquet")
    first, second = read_manifest(tmp_path / "m.parquet").rows
    assert first == ManifestRow("a", "a.mp4", "video", start=1.0, extra={"speaker": {"age": 7}})
    assert second == ManifestRow("b", "b.png", "image")


@pytest.mark.parametrize("name", ["m.jsonl", "m.parquet"])
def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, name: str) -> None:
    write_manifest(tmp_path / name, ROWS)
    before = (tmp_path / name).read_bytes()
    for wrong in (
        replace(ROWS[0], extra={"label": 1}),
        replace(ROWS[0], extra={"x": object()}),
        replace(ROWS[0], end=float("nan")),
    ):
        with pytest.raises(ManifestError, match="row 'a'"):
            write_manifest(tmp_path / name, [ROWS[1], wrong])
    assert (tmp_path / name).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no row"),
        (b"\n  \n", "holds no row"),
        (b'{"id": "a", "uri": "a.mp4"}\n{"id": "b", "uri"\n', ":2: is not JSON"),
        (b'{"id": "a", "uri": "a.mp4"}\n{"id": "b", "uri": "b.m', ":2: is cut off"),
        (b'{"id": "\xff", "uri": "a.mp4"}\n', ":1: is not UTF-8 at byte 9"),
        (b'["a", "a.mp4"]\n', ":1: expected a JSON object, got"),
        (b'{"uri": "a.mp4"}\n', ":1: id: is missing"),
        (b'{"id": "a"}\n', ":1: a: uri: is missing"),
        (b'{"id": 7, "uri": "a.mp4"}\n', ":1: id: expected text, got 7"),
        (b'{"id": "a", "uri": "a"}\n', "media_type: is missing and the suffix"),
        (b'{"id": "a", "uri": "a.mp4", "media_type": "film"}\n', "media_type: 'film' is not known; allowed are"),
        (b'{"id": "a", "uri": "a.mp4", "status": "fine"}\n', "status: 'fine' is not known"),
        (b'{"id": "a", "uri": "a.mp4", "start": "1"}\n', "start: expected a number, got '1'"),
        (b'{"id": "a", "uri": "a.mp4", "start": true}\n', "start: expected a number, got True"),
        (
            b'{"id": "a", "uri": "a.mp4", "fps": "x", "label": 3}\n',
            "fps: expected a number, got 'x'; label: expected text",
        ),
        (b'{"id": "a", "uri": "a.mp4", "streams": ["x", 1]}\n', "streams: expected a list of text"),
    ],
)
def test_a_malformed_file_is_refused_with_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(content)
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


def test_what_is_harmless_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"id": "a", "uri": "a.MP4", "start": 1, "num_frames": 4.0, "caption": null}\r\n\n{"id":"b","uri":"b.ogg"}'
    )
    first, second = read_manifest(path).rows
    assert first == ManifestRow("a", "a.MP4", "video", start=1.0, num_frames=4)
    assert second.media_type == "audio"


def test_many_faults_are_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text("no\n" * 25)
    with pytest.raises(ManifestError, match="and 15 more; `mmssl manifest check") as caught:
        read_manifest(path)
    assert len(str(caught.value).splitlines()) == 11


def test_what_is_no_parquet_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(ManifestError, match="is not Parquet"):
        read_manifest(tmp_path / "m.parquet")
    for name in ("none.jsonl", "none.parquet"):
        with pytest.raises(ManifestError, match="cannot be read: No such file"):
            read_manifest(tmp_path / name)


def test_paths_follow_the_manifest(tmp_path: Path) -> None:
    row = ManifestRow("a", "v/a.mp4", "video", extra={"masks": "masks/a", "other": "masks/a"})
    (moved,) = relocated([row], tmp_path, tmp_path / "x" / "y")
    assert (moved.uri, moved.extra) == ("../../v/a.mp4", {"masks": "../../masks/a", "other": "masks/a"})
    assert list(relocated([moved], tmp_path / "x" / "y", tmp_path)) == [row]
    absolute = replace(row, uri="/v/a.mp4", extra={})
    assert list(relocated([absolute], tmp_path, tmp_path / "x")) == [absolute]


def test_names_and_suffixes() -> None:
    assert Manifest(Path("x/davis/manifest.jsonl"), ()).name == "davis"
    assert Manifest(Path("x/davis.parquet"), ()).name == "davis"
    assert [media_type_of(uri) for uri in ("a.MKV", "b/c.flac", "d.jpeg", "e.txt", "f")] == [
        "video",
        "audio",
        "image",
        None,
        None,
    ]


def test_times_in_whole_seconds(tmp_path: Path) -> None:
    row = ManifestRow("a", "a.mp4", "video", start=1, end=3, duration_seconds=4, fps=25)
    for name in ("m.jsonl", "m.parquet"):
        write_manifest(tmp_path / name, [row])
        assert read_manifest(tmp_path / name).rows == (row,)
