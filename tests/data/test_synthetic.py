import json
import wave
from pathlib import Path

import numpy as np
import pytest
import torch

from mmssl.data.checking import check_manifest
from mmssl.data.drawing import CIRCLE_RADIUS, SHAPES, Pose, signed_distance
from mmssl.data.manifest import read_manifest
from mmssl.data.scenes import random_scene
from mmssl.data.synthetic import TONES_HERTZ, write_synthetic
from mmssl.errors import ConfigError
from mmssl.media.image import read_index_png, write_png
from mmssl.media.video import open_video


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made")
    write_synthetic(out, num_videos=6, num_frames=4, size=(48, 64))
    return out


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_manifest_is_sound_and_complete(made: Path) -> None:
    assert check_manifest(made / "manifest.jsonl", read_data=True) == []
    rows = read_manifest(made / "manifest.jsonl").rows
    assert {row.label for row in rows[:5]} == set(SHAPES)
    assert [row.split for row in rows] == ["train"] * 5 + ["test"]
    for row in rows:
        first = row.extra["objects"][0]
        assert row.label == first.split()[1]
        assert first in str(row.caption)
        assert len(list((made / row.extra["masks"]).iterdir())) == row.num_frames == 4


def test_videos_depend_on_the_seed_and_their_number_alone(made: Path, tmp_path: Path) -> None:
    write_synthetic(tmp_path / "fewer", num_videos=2, num_frames=4, size=(48, 64), workers=2)
    write_synthetic(tmp_path / "other", num_videos=2, seed=1, num_frames=4, size=(48, 64))
    whole, fewer, other = files_of(made), files_of(tmp_path / "fewer"), files_of(tmp_path / "other")
    parts = [name for name in fewer if name != "manifest.jsonl"]
    assert len(parts) == 2 * (1 + 4 + 1 + 1)
    assert all(whole[name] == fewer[name] for name in parts)
    assert fewer["videos/00000.mp4"] != other["videos/00000.mp4"]


def test_files_hold_what_the_scene_shows(made: Path) -> None:
    scene = random_scene(0, 3, num_objects=3, size=(48, 64), picture=None)
    with open_video(made / "videos" / "00003.mp4") as video:
        frames = video.frames(range(4))
    for frame in range(4):
        image, labels = scene.draw(frame / 3)
        assert torch.equal(read_index_png(made / "masks" / "00003" / f"{frame:05}.png"), torch.from_numpy(labels))
        difference = frames[frame].permute(1, 2, 0).float() - torch.from_numpy(image).float()
        assert difference.abs().mean() < 10


def test_masks_are_what_covers_each_pixel_center() -> None:
    scene = random_scene(0, 1, num_objects=3, size=(32, 36), picture=None)
    labels = scene.labels(0.4)
    expected = np.zeros_like(labels)
    for y in range(32):
        for x in range(36):
            for position in scene.order:
                shape = scene.objects[position]
                point = shape.pose(0.4).to_shape(np.array([[x + 0.5, y + 0.5]]))
                if signed_distance(point, shape.kind)[0] < 0:
                    expected[y, x] = position + 1
    np.testing.assert_array_equal(labels, expected)
    assert len(np.unique(labels)) == len(scene.objects) + 1


@pytest.mark.parametrize("kind", SHAPES)
def test_distance_to_an_outline(kind: str) -> None:
    random = np.random.default_rng(0)
    points = random.uniform(-1.2, 1.2, (60, 2))
    if kind == "circle":
        expected = np.linalg.norm(points, axis=1) - CIRCLE_RADIUS
        tolerance = 1e-12
    else:
        corners, following = SHAPES[kind], np.roll(SHAPES[kind], -1, axis=0)
        steps = np.linspace(0, 1, 2001)[:, None]
        outline = np.concatenate(
            [first + steps * (last - first) for first, last in zip(corners, following, strict=True)]
        )
        expected = np.linalg.norm(points[:, None] - outline, axis=-1).min(axis=1)
        around = np.arctan2(*(outline - points[:, None]).transpose(2, 0, 1))
        turns = np.diff(np.concatenate([around, around[:, :1]], axis=1), axis=1)
        winding = np.abs(((turns + np.pi) % (2 * np.pi) - np.pi).sum(axis=1)) > np.pi
        expected = np.where(winding, -expected, expected)
        tolerance = 1e-3
    np.testing.assert_allclose(signed_distance(points, kind), expected, atol=tolerance)
    assert np.linalg.norm(SHAPES[kind], axis=1).max() <= 1 + 1e-9


def test_a_pose_and_its_inverse() -> None:
    pose = Pose((30.0, 20.0), 10.0, np.pi / 2)
    points = np.array([[1.0, 0.0], [0.3, -0.4]])
    np.testing.assert_allclose(pose.to_image(points)[0], [30.0, 30.0], atol=1e-9)
    np.testing.assert_allclose(pose.to_shape(pose.to_image(points)), points, atol=1e-12)


def test_keypoints_lie_on_their_object_or_are_hidden(made: Path) -> None:
    hidden = shown = 0
    for row in read_manifest(made / "manifest.jsonl").rows:
        keypoints = json.loads((made / row.extra["keypoints"]).read_text())
        assert keypoints["names"][:2] == ["1/center", "1/corner0"]
        for frame, points in keypoints["frames"].items():
            labels = read_index_png(made / row.extra["masks"] / f"{int(frame):05}.png")
            assert len(points) == len(keypoints["names"])
            for name, point in zip(keypoints["names"], points, strict=True):
                hidden += point is None
                if point is not None:
                    shown += 1
                    assert labels[int(point[1]), int(point[0])] == int(name.split("/")[0])
    assert shown > 5 * hidden > 0


def test_the_kind_is_told_by_neither_color_nor_texture() -> None:
    scenes = [random_scene(0, number, num_objects=1, size=(32, 32), picture=None) for number in range(40)]
    kinds = [scene.objects[0].kind for scene in scenes]
    assert all(kinds.count(kind) == 8 for kind in SHAPES)
    for kind in SHAPES:
        assert len({scene.objects[0].color for scene in scenes if scene.objects[0].kind == kind}) >= 4
    means = np.array([scene.objects[0].surface.colors.mean(axis=(0, 1)) for scene in scenes])
    distances = np.linalg.norm(means[:, None] - means, axis=-1) + 10 * np.eye(len(means))
    nearest = [kinds[place] for place in distances.argmin(axis=1)]
    assert np.mean([own == other for own, other in zip(kinds, nearest, strict=True)]) < 0.4
    assert all(scene.objects[0].surface.colors.std(axis=(0, 1)).max() > 0.05 for scene in scenes)


def test_each_kind_sounds_its_tone_as_loud_as_it_is_large(tmp_path: Path) -> None:
    manifest = write_synthetic(
        tmp_path, num_videos=2, num_frames=16, size=(32, 48), num_objects=1, fps=16, test_fraction=0
    )
    for row in manifest.rows:
        with wave.open(str(tmp_path / row.extra["sound"])) as file:
            rate, samples = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
        assert len(samples) / rate == pytest.approx(row.duration_seconds)
        spectrum = np.abs(np.fft.rfft(samples))
        assert spectrum.argmax() * rate / len(samples) == pytest.approx(TONES_HERTZ[str(row.label)], abs=2)
        areas = [int((read_index_png(path) == 1).sum()) for path in sorted((tmp_path / row.extra["masks"]).iterdir())]
        windows = [samples[round(rate * frame / 16) :][: rate // 50] for frame in range(15)]
        loudness = [float(np.sqrt((window**2).mean())) for window in windows]
        assert np.corrcoef(np.sqrt(areas[:15]), loudness)[0, 1] > 0.9


def test_backgrounds_of_train_and_test_differ(tmp_path: Path) -> None:
    for name in ("a/0.png", "a/1.png", "b.png", "c.png"):
        (tmp_path / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        write_png(tmp_path / "pictures" / name, torch.full((3, 40, 50), 60, dtype=torch.uint8))
    manifest = write_synthetic(
        tmp_path / "out",
        num_videos=10,
        backgrounds=tmp_path / "pictures",
        test_fraction=0.4,
        num_frames=4,
        size=(48, 64),
    )
    groups = {split: {row.group for row in manifest.rows if row.split == split} for split in ("train", "test")}
    assert groups["train"] <= {"a"}
    assert groups["test"] <= {"b.png", "c.png"}
    assert check_manifest(manifest.path) == []
    image, labels = random_scene(0, 0, num_objects=2, size=(48, 64), picture=tmp_path / "pictures" / "b.png").draw(0.0)
    assert abs(np.median(image[labels == 0]) - 60) < 8


@pytest.mark.parametrize(
    "settings",
    [
        {"num_videos": 0},
        {"num_frames": 1},
        {"fps": 0.0},
        {"size": (31, 64)},
        {"num_objects": 0},
        {"test_fraction": 0.8},
    ],
)
def test_settings_out_of_range_are_refused(tmp_path: Path, settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="must be"):
        write_synthetic(tmp_path / "out", **settings)  # type: ignore[arg-type]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="holds 0 images"):
        write_synthetic(tmp_path / "out", backgrounds=tmp_path / "empty")


def test_takes_show_the_same_things_elsewhere_and_in_other_light(tmp_path: Path) -> None:
    rows = write_synthetic(tmp_path, num_videos=4, num_frames=2, size=(48, 64), takes=2).rows
    assert [row.label for row in rows] == ["scene 00000", "scene 00000", "scene 00001", "scene 00001"]
    assert [row.split for row in rows] == ["train", "test", "train", "test"]
    assert len({row.group for row in rows}) == 4
    assert rows[0].extra["objects"] == rows[1].extra["objects"] != rows[2].extra["objects"]
    first, second = (random_scene(0, 0, num_objects=3, size=(48, 64), picture=None, take=take) for take in range(2))
    assert np.array_equal(first.canvas, second.canvas)
    assert np.array_equal(first.objects[0].surface.colors, second.objects[0].surface.colors)
    assert first.cast == (1.0, 1.0, 1.0) != second.cast
    assert not np.array_equal(first.labels(0.0), second.labels(0.0))
    assert files_of(tmp_path)["videos/00000.mp4"] != files_of(tmp_path)["videos/00001.mp4"]


def test_the_number_of_takes_is_checked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="takes must be at least 1"):
        write_synthetic(tmp_path, takes=0)
