import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from mmssl.data.checking import check_manifest
from mmssl.data.formats import FORMS, convert_manifest, recognized_form
from mmssl.data.manifest import ManifestRow, read_manifest, write_manifest
from mmssl.errors import ManifestError


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def converted(source: Path, form: str) -> list[ManifestRow]:
    """Rows of a source that must be recognized, written where paths have to change, and found sound."""
    assert recognized_form(source) == form
    out = (source.parent if source.is_dir() else source.parent.parent) / "made" / "m.jsonl"
    manifest = convert_manifest(source, out)
    assert read_manifest(out) == manifest
    assert check_manifest(out) == []
    return list(manifest.rows)


def write_tar(path: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def test_a_folder_of_media(tmp_path: Path) -> None:
    rows = converted(touch(tmp_path / "d", "a.mp4", "x/b.wav", "x/notes.txt"), "folder")
    assert [(row.id, row.uri, row.media_type) for row in rows] == [
        ("a", "../d/a.mp4", "video"),
        ("x/b", "../d/x/b.wav", "audio"),
    ]


def test_folders_as_classes(tmp_path: Path) -> None:
    rows = converted(touch(tmp_path / "d", "cat/1.png", "cat/2.png", "dog/1.png"), "imagefolder")
    assert [(row.id, row.label, row.split) for row in rows] == [
        ("cat/1", "cat", None),
        ("cat/2", "cat", None),
        ("dog/1", "dog", None),
    ]


def test_folders_as_splits_and_classes(tmp_path: Path) -> None:
    rows = converted(touch(tmp_path / "d", "train/cat/1.png", "val/cat/1.png", "val/dog/2.mp4"), "imagefolder")
    assert [(row.id, row.label, row.split) for row in rows] == [
        ("train/cat/1", "cat", "train"),
        ("val/cat/1", "cat", "val"),
        ("val/dog/2", "dog", "val"),
    ]
    deeper = touch(tmp_path / "e", "a/b/1.png", "c/d/1.png")
    assert recognized_form(deeper) == "folder"


@pytest.mark.parametrize("separator", ["\t", ",", ";", "|"])
def test_tables_of_captions(tmp_path: Path, separator: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = touch(tmp_path / "d", "a.jpg", "b.jpg")
    lines = [
        ["filepath", "title", "Split", "score"],
        ["a.jpg", '"One, two;\t|"', "train", "3"],
        ["b.jpg", "Three", "test", ""],
    ]
    (folder / "c.csv").write_text("\n".join(separator.join(cells) for cells in lines), encoding="utf-8-sig")
    first, second = converted(folder / "c.csv", "table")
    assert (first.id, first.uri, first.caption, first.split) == ("a", "../d/a.jpg", "One, two;\t|", "train")
    assert (first.extra, second.extra) == ({"score": "3"}, {})
    told = capsys.readouterr().err
    assert "table: CSV separated by" in told
    assert "caption from 'title'" in told
    assert "2 rows" in told


def test_several_captions_of_one_file_are_one_row_with_a_caption_a_line(tmp_path: Path) -> None:
    folder = touch(tmp_path / "d", "images/a.jpg", "images/b.jpg")
    (folder / "c.csv").write_text("image,caption,label\na.jpg,x,1\nb.jpg,z,1\na.jpg,y,1\na.jpg,w,2\n")
    rows = converted(folder / "c.csv", "table")
    assert [(row.id, row.uri, row.caption, row.group) for row in rows] == [
        ("a#0", "../d/images/a.jpg", "x\ny", "a.jpg"),
        ("b", "../d/images/b.jpg", "z", None),
        ("a#1", "../d/images/a.jpg", "w", "a.jpg"),
    ]


def test_names_that_mean_something_else_here_are_kept_apart(tmp_path: Path) -> None:
    folder = touch(tmp_path / "d", "a.jpg")
    (folder / "c.jsonl").write_text(json.dumps({"path": "a.jpg", "status": "success", "label": 3, "streams": 2}))
    (row,) = converted(folder / "c.jsonl", "table")
    assert (row.label, row.status, row.extra) == ("3", "ok", {"source_status": "success", "source_streams": 2})


def test_parquet_tables(tmp_path: Path) -> None:
    folder = touch(tmp_path / "d", "a.mp4")
    pyarrow.parquet.write_table(
        pyarrow.table({"video_path": ["a.mp4"], "start_time": [0], "n": [[1]]}), folder / "c.parquet"
    )
    (row,) = converted(folder / "c.parquet", "table")
    assert (row.uri, row.start, row.extra) == ("../d/a.mp4", 0.0, {"n": [1]})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,caption\na,b\n", r"columns are \['name', 'caption'\]"),
        ("url,caption\nhttp://x.org/a.jpg,b\n", r"columns are \['url', 'caption'\]"),
        ("path,caption\nhttp://x.org/a.jpg,b\n", "c.csv:2: 'path' holds an address"),
        ("path,caption\na.jpg,b,c\nb.jpg\n", "c.csv:2: has 3 cells, the header 2; quote cells(.|\n)*c.csv:3: has 1"),
        ("path,start\na.jpg,b\n", "c.csv:2: start: expected a number, got 'b'"),
        ("path,caption\n,b\n", "c.csv:2: id: is missing(.*)uri: is missing"),
        ("path,start\n", "holds no media file"),
    ],
)
def test_malformed_tables_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "c.csv").write_text(text)
    with pytest.raises(ManifestError, match=message):
        convert_manifest(tmp_path / "c.csv", tmp_path / "m.jsonl")
    assert not (tmp_path / "m.jsonl").exists()


def test_nemo_lists(tmp_path: Path) -> None:
    folder = touch(tmp_path / "d", "a.wav", "b.wav")
    lines = [
        {"audio_filepath": "a.wav", "duration": 2.5, "text": "hello", "lang": "en"},
        {"audio_filepath": "b.wav", "duration": 1.5, "offset": 10, "text": ""},
    ]
    (folder / "n.json").write_text("\n".join(map(json.dumps, lines)))
    first, second = converted(folder / "n.json", "nemo")
    assert (first.media_type, first.duration_seconds, first.start, first.caption) == ("audio", 2.5, None, "hello")
    assert (second.duration_seconds, second.start, second.end, second.caption) == (None, 10.0, 11.5, None)


def test_kinetics_lists(tmp_path: Path) -> None:
    folder = touch(tmp_path / "d", "train/abseiling/x1_000010_000020.mp4", "y2.mkv")
    header = "label,youtube_id,time_start,time_end,split,is_cc"
    (folder / "k.csv").write_text(f"{header}\nabseiling,x1,10,20,train,0\nbowling,y2,3,13,val,0\ngone,z3,0,10,val,1\n")
    first, second, third = converted(folder / "k.csv", "kinetics")
    assert (first.uri, first.start, first.label, first.split) == (
        "../d/train/abseiling/x1_000010_000020.mp4",
        None,
        "abseiling",
        "train",
    )
    assert (second.uri, second.start, second.end, second.group) == ("../d/y2.mkv", 3.0, 13.0, "y2")
    assert (third.status, third.error_type, third.extra) == ("rejected", "MediaError", {"is_cc": "1"})
    (folder / "k.csv").write_text(f"{header}\ngone,z3,0,10,val,1\n")
    with pytest.raises(ManifestError, match="none of its 1 clips is below"):
        convert_manifest(folder / "k.csv", tmp_path / "m.jsonl")


@pytest.mark.parametrize(
    "lines", [["v/a b.mp4 0", "frames 1"], ["v/a b.mp4,0", "frames,1"], ["frames 12 1", "v/a b.mp4 0"]]
)
def test_lists_of_paths_and_labels(tmp_path: Path, lines: list[str]) -> None:
    folder = touch(tmp_path / "d", "v/a b.mp4", "frames/1.png")
    (folder / "list.txt").write_text("\n".join(lines) + "\n")
    rows = sorted(converted(folder / "list.txt", "list"), key=lambda row: row.label or "")
    assert [(row.uri, row.label, row.media_type) for row in rows] == [
        ("../d/v/a b.mp4", "0", "video"),
        ("../d/frames", "1", "video"),
    ]


def test_hugging_face_metadata(tmp_path: Path) -> None:
    folder = touch(tmp_path / "d", "train/a.png", "test/b.png")
    (folder / "train" / "metadata.jsonl").write_text('{"file_name": "a.png", "text": "x", "objects": {"n": 1}}\n')
    (folder / "test" / "metadata.jsonl").write_text('{"file_name": "b.png", "text": "y"}\n')
    rows = converted(folder, "metadata")
    assert [(row.uri, row.split, row.caption) for row in rows] == [
        ("../d/test/b.png", "test", "y"),
        ("../d/train/a.png", "train", "x"),
    ]
    assert rows[1].extra == {"objects": {"n": 1}}
    (single,) = converted(folder / "train" / "metadata.jsonl", "metadata")
    assert single.caption == "x"


def test_webdataset_archives(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    sample = json.dumps({"caption": "from json", "width": 64, "status": "success", "key": "k"}).encode()
    write_tar(
        folder / "00000.tar",
        [("a.jpg", b"x"), ("a.txt", b"first\n"), ("a.json", sample), ("b.jpg", b"y"), ("b.cls", b"7")],
    )
    write_tar(folder / "00001.tar", [("s/a.wav", b"x"), ("s/a.side.mp4", b"y"), ("s/a.npy", b"z")])
    rows = converted(folder, "webdataset")
    assert [(row.uri, row.caption, row.label, row.group) for row in rows] == [
        ("m_files/00000/a.jpg", "first", None, None),
        ("m_files/00000/b.jpg", None, "7", None),
        ("m_files/00001/s/a.wav", None, None, "00001/s/a"),
        ("m_files/00001/s/a.side.mp4", None, None, "00001/s/a"),
    ]
    assert (rows[0].width, rows[0].extra) == (64, {"source_status": "success", "key": "k"})
    assert (tmp_path / "made" / "m_files" / "00000" / "b.jpg").read_bytes() == b"y"


@pytest.mark.parametrize("name", ["/etc/a.jpg", "../a.jpg", "x/../../a.jpg", "C:/a.jpg", "x\\..\\a.jpg"])
def test_archives_that_would_write_outside_are_refused(tmp_path: Path, name: str) -> None:
    write_tar(tmp_path / "x.tar", [(name, b"x")])
    with pytest.raises(ManifestError, match="outside its folder"):
        convert_manifest(tmp_path / "x.tar", tmp_path / "deep" / "m.jsonl")
    assert not list(tmp_path.rglob("*.jpg"))


def test_archives_with_links_or_damage_are_refused(tmp_path: Path) -> None:
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
        with tarfile.open(tmp_path / "x.tar", "w") as tar:
            member = tarfile.TarInfo("a.jpg")
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
        with pytest.raises(ManifestError, match="a link or a device"):
            convert_manifest(tmp_path / "x.tar", tmp_path / "m.jsonl")
    whole = write_tar(tmp_path / "y.tar", [("a.jpg", b"x" * 5000)]).read_bytes()
    (tmp_path / "y.tar").write_bytes(whole[:2000])
    with pytest.raises(ManifestError, match="cannot be read to its end"):
        convert_manifest(tmp_path / "y.tar", tmp_path / "m.jsonl")


@pytest.mark.parametrize("source", ["pipe:cat x.tar", "https://x.org/a.tar", "s3://bucket/a.tar"])
def test_commands_and_addresses_are_refused(tmp_path: Path, source: str) -> None:
    with pytest.raises(ManifestError, match="are not followed"):
        convert_manifest(Path(source), tmp_path / "m.jsonl")


def test_manifests_change_their_form(tmp_path: Path) -> None:
    folder = touch(tmp_path / "d", "a.mp4", "m/0.png")
    row = ManifestRow("a", "a.mp4", "video", label="x", extra={"masks": "m"})
    write_manifest(folder / "m.jsonl", [row])
    manifest = convert_manifest(folder / "m.jsonl", tmp_path / "m.parquet")
    assert read_manifest(tmp_path / "m.parquet") == manifest
    assert (manifest.rows[0].uri, manifest.rows[0].extra) == ("d/a.mp4", {"masks": "d/m"})


def test_what_is_of_no_form_is_refused_with_the_forms(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("hello\n")
    for source in (tmp_path / "x.txt", tmp_path):
        with pytest.raises(ManifestError, match="is of no known form") as caught:
            convert_manifest(source, tmp_path / "out" / "m.jsonl")
        assert all(name in str(caught.value) for name in FORMS)
    with pytest.raises(ManifestError, match="no such file"):
        convert_manifest(tmp_path / "none", tmp_path / "m.jsonl")
    with pytest.raises(ManifestError, match="form 'coco' is not known; forms are"):
        convert_manifest(tmp_path, tmp_path / "m.jsonl", form="coco")


@pytest.mark.data
def test_real_captions(real_data: Path, tmp_path: Path) -> None:
    rows = convert_manifest(real_data / "flickr8k" / "captions.csv", tmp_path / "m.jsonl").rows
    assert len(rows) == 4500
    assert {len((row.caption or "").splitlines()) for row in rows} == {5}
    assert check_manifest(tmp_path / "m.jsonl") == []
    assert {row.split for row in rows} == {"train", "test"}
