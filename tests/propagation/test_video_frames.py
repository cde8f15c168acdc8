"""Labels on any frames: both directions, corrections, interruptions, cuts, and objects that come and go."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mmssl.media.image import read_image, read_index_png, write_index_png, write_png
from mmssl.models.encoder import Encoder
from mmssl.propagation import frame_writer
from mmssl.propagation.presets import Preset
from mmssl.propagation.video import propagate_video
from mmssl.propagation.video_labels import FrameLabels, LabelObject, VideoLabels
from tests.propagation.test_video import contents

Squares = tuple[Path, Path, list[Tensor]]
SIZE = (48, 80)


@pytest.fixture
def options(encoder: Encoder, small_preset: Preset, tmp_path: Path) -> dict[str, Any]:
    return {"encoder": encoder, "encoder_name": "patches", "preset": small_preset, "out": tmp_path / "out"}


def write_masks(folder: Path, masks: list[Tensor], frames: tuple[int, ...]) -> Path:
    folder.mkdir(exist_ok=True)
    for frame in frames:
        write_index_png(folder / f"{frame:05}.png", masks[frame])
    return folder


@pytest.mark.parametrize("labeled", [(5,), (10,), (0, 10), (2, 3, 7)])
def test_labels_reach_every_frame(
    labeled: tuple[int, ...], squares: Squares, options: dict[str, Any], tmp_path: Path
) -> None:
    frames, _, truth = squares
    result = propagate_video(frames, write_masks(tmp_path / "masks", truth, labeled), overlay=False, **options)
    for frame, mask in enumerate(truth):
        got = read_index_png(result.mask_file(frame))
        assert (got == mask).float().mean() > (0.999 if frame in labeled else 0.95), frame


def test_a_correction_redoes_only_what_it_affects(
    squares: Squares, options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, _, truth = squares
    masks = write_masks(tmp_path / "masks", truth, (0, 4, 8))
    propagate_video(frames, masks, **options)
    written: list[int] = []
    write = frame_writer.write_mask
    monkeypatch.setattr(
        frame_writer, "write_mask", lambda path, mask: (written.append(int(path.stem)), write(path, mask))
    )
    write_masks(tmp_path / "masks", truth, (6,))
    propagate_video(frames, masks, **options)
    assert sorted(written) == [4, 5, 6, 7]
    fresh = {**options, "out": tmp_path / "fresh"}
    propagate_video(frames, masks, **fresh)
    assert contents(options["out"]) == contents(fresh["out"])

    written.clear()
    (masks / "00006.png").unlink()
    propagate_video(frames, masks, overlay=False, **options)
    assert sorted(written) == [4, 5, 6, 7]


@pytest.mark.parametrize("labeled", [(9,), (0, 9)])
@pytest.mark.parametrize("stop_at", [2, 4, 7])
def test_interrupted_in_either_direction(
    labeled: tuple[int, ...],
    stop_at: int,
    squares: Squares,
    options: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frames, _, truth = squares
    masks = write_masks(tmp_path / "masks", truth, labeled)
    settings = {**options, "batch_size": 2}
    propagate_video(frames, masks, **{**settings, "out": tmp_path / "whole"})
    write = frame_writer.write_mask

    def fail(path: Path, mask: Tensor) -> None:
        if path.stem == f"{stop_at:05}":
            path.write_bytes(b"half a pict")
            raise KeyboardInterrupt
        write(path, mask)

    monkeypatch.setattr(frame_writer, "write_mask", fail)
    with pytest.raises(KeyboardInterrupt):
        propagate_video(frames, masks, **settings)
    monkeypatch.setattr(frame_writer, "write_mask", write)
    propagate_video(frames, masks, **settings)
    assert contents(options["out"]) == contents(tmp_path / "whole")


def test_interrupted_backwards_between_labels(
    squares: Squares, options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, _, truth = squares
    masks = write_masks(tmp_path / "masks", truth, (0, 10))
    settings = {**options, "batch_size": 2}
    propagate_video(frames, masks, **{**settings, "out": tmp_path / "whole"})
    encoder = options["encoder"]
    features, calls = type(encoder).features, []

    def fail(self: Encoder, images: Tensor) -> Tensor:
        calls.append(len(images))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return features(self, images)

    monkeypatch.setattr(type(encoder), "features", fail)
    with pytest.raises(KeyboardInterrupt):
        propagate_video(frames, masks, **settings)
    assert (options["out"] / "state" / "backward.bin").is_file()
    propagate_video(frames, masks, **settings)
    assert contents(options["out"]) == contents(tmp_path / "whole")


@pytest.mark.parametrize("points", ["pixels", "rigid"])
def test_points_go_on_with_the_same_bytes(
    points: str, squares: Squares, options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labeled on frame 5, so that they are followed forwards and backwards; interrupted in both directions."""
    corners = np.array([[26.0, 6.0], [38.0, 7.0], [27.0, 18.0], [38.0, 17.0]])
    objects = (LabelObject(1, "square", "keypoints", ("a", "b", "c", "d")),)
    labels = VideoLabels(SIZE, 11, objects, {5: FrameLabels(keypoints={1: corners})})
    settings = {**options, "batch_size": 2, "points": points, "overlay": False}
    propagate_video(squares[0], labels, **{**settings, "out": tmp_path / "whole"})
    encoder = options["encoder"]
    features, calls = type(encoder).features, []

    def fail(self: Encoder, images: Tensor) -> Tensor:
        calls.append(len(images))
        if len(calls) in (3, 7):
            raise KeyboardInterrupt
        return features(self, images)

    monkeypatch.setattr(type(encoder), "features", fail)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            propagate_video(squares[0], labels, **settings)
    propagate_video(squares[0], labels, **settings)
    assert contents(options["out"]) == contents(tmp_path / "whole")
    rows = list(csv.DictReader((options["out"] / "objects.csv").open()))
    assert all(row["lost"] == "0" for row in rows)


def test_objects_come_and_go(squares: Squares, options: dict[str, Any]) -> None:
    """Object 2 is first labeled on frame 6, and object 1 is said to have ended there."""
    frames, _, truth = squares
    first, later = (truth[0] == 1).to(torch.uint8), (truth[6] == 2).to(torch.uint8) * 2
    objects = (LabelObject(1, "one", "mask"), LabelObject(2, "two", "mask"))
    labels = VideoLabels(SIZE, 11, objects, {0: FrameLabels(mask=first.numpy()), 6: FrameLabels(mask=later.numpy())})
    result = propagate_video(frames, labels, overlay=False, **options)
    before, after = read_index_png(result.mask_file(3)), read_index_png(result.mask_file(8))
    assert ((before == 2) == (truth[3] == 2)).float().mean() > 0.95
    assert ((before == 1) == (truth[3] == 1)).float().mean() > 0.95
    assert not bool((after == 1).any())
    assert ((after == 2) == (truth[8] == 2)).float().mean() > 0.95
    lines = list(csv.DictReader((options["out"] / "objects.csv").open()))
    status = {(int(line["frame"]), int(line["object"])): line["status"] for line in lines}
    assert status[0, 2] == "absent"
    assert status[3, 2] == "seen"
    assert status[6, 2] == "labeled"
    assert status[8, 1] == "absent"


def test_nothing_crosses_a_cut(squares: Squares, options: dict[str, Any], tmp_path: Path) -> None:
    frames, labels, _ = squares
    other = tmp_path / "other"
    other.mkdir()
    for frame, file in enumerate(sorted(frames.iterdir())):
        picture = read_image(file)
        write_png(other / file.name, picture if frame < 6 else 255 - picture.flip(1))
    result = propagate_video(other, labels, **options)
    assert bool((read_index_png(result.mask_file(5)) > 0).any())
    assert not bool((read_index_png(result.mask_file(6)) > 0).any())
    review = list(csv.DictReader((options["out"] / "review.csv").open()))
    assert (review[0]["frame"], review[0]["object"]) == ("6", "")
    assert "cut" in review[0]["reason"]
    across = propagate_video(other, labels, stop_at_cuts=False, **options)
    assert bool((read_index_png(across.mask_file(6)) > 0).any())


def test_an_object_is_lost_behind_another_and_found_again(
    encoder: Encoder, small_preset: Preset, tmp_path: Path
) -> None:
    """A square is covered for six frames, longer than the context reaches, and comes back elsewhere."""
    generator = torch.Generator().manual_seed(3)
    ground = torch.randint(0, 90, (3, *SIZE), generator=generator).to(torch.uint8)
    square = torch.randint(150, 256, (3, 16, 16), generator=generator).to(torch.uint8)
    folder = tmp_path / "frames"
    folder.mkdir()
    for frame in range(14):
        picture = ground.clone()
        if not 4 <= frame < 10:
            x = 8 if frame < 4 else 56
            picture[:, 16:32, x : x + 16] = square
        write_png(folder / f"{frame:05}.png", picture)
    mask = torch.zeros(SIZE, dtype=torch.uint8)
    mask[16:32, 8:24] = 1
    write_index_png(tmp_path / "first.png", mask)
    preset = Preset(**{**vars(small_preset), "previous_frames": 3})
    propagate_video(
        folder,
        tmp_path / "first.png",
        encoder=encoder,
        encoder_name="patches",
        out=tmp_path / "out",
        preset=preset,
        stop_at_cuts=False,
        overlay=False,
    )
    lines = list(csv.DictReader((tmp_path / "out" / "objects.csv").open()))
    assert [int(line["lost"]) for line in lines][5:10] == [1] * 5
    assert [int(line["lost"]) for line in lines][10:] == [0] * 4
    found = read_index_png(tmp_path / "out" / "masks" / "00012.png")
    assert bool(found[20:28, 60:68].all())
    review = list(csv.DictReader((tmp_path / "out" / "review.csv").open()))
    assert any(line["reason"].startswith("lost") for line in review)
