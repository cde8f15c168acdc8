"""Masks, boxes, keypoints and points of one video, from labels to files."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from mmssl.errors import ConfigError, LabelError
from mmssl.media.image import read_image, read_index_png, write_index_png
from mmssl.media.video import open_video
from mmssl.models.encoder import Encoder
from mmssl.propagation.exchange import read_labels, write_labels
from mmssl.propagation.presets import Preset
from mmssl.propagation.video import propagate_video
from mmssl.propagation.video_labels import FrameLabels, LabelObject, LabelWarning, VideoLabels

Squares = tuple[Path, Path, list[Tensor]]
SIZE = (48, 80)


@pytest.fixture
def options(encoder: Encoder, small_preset: Preset, tmp_path: Path) -> dict[str, Any]:
    return {"encoder": encoder, "encoder_name": "patches", "preset": small_preset, "out": tmp_path / "out"}


def mixed(truth: list[Tensor]) -> VideoLabels:
    """Square 1 as a mask and by its corners, square 2 as a box and by its middle."""
    objects = (
        LabelObject(1, "left", "mask"),
        LabelObject(2, "right", "box"),
        LabelObject(3, "corners", "keypoints", ("first", "last", "hidden"), ((0, 1),)),
        LabelObject(4, "middle", "point"),
    )
    first = FrameLabels(
        mask=(truth[0] == 1).numpy().astype(np.uint8),
        boxes={2: np.array([60.0, 28.0, 76.0, 44.0])},
        keypoints={
            3: np.array([[9.0, 9.0], [14.5, 14.0], [np.nan, np.nan]]),
            4: np.array([[68.0, 36.0]]),
        },
    )
    return VideoLabels(SIZE, len(truth), objects, {0: first})


def test_all_kinds_go_together(squares: Squares, options: dict[str, Any]) -> None:
    frames, _, truth = squares
    forms = ("coco", "points_csv", "label_studio")
    with pytest.warns(LabelWarning):
        result = propagate_video(frames, mixed(truth), save_as=forms, soft_masks=True, **options)
    assert result.objects == (1, 2, 3, 4)
    out = options["out"]
    labels = read_labels(out / "labels.coco.json", size=SIZE, num_frames=11)
    assert {each.name: each.kind for each in labels.objects} == {
        "left": "mask",
        "right": "box",
        "corners": "keypoints",
        "middle": "point",
    }
    ids = {each.name: each.id for each in labels.objects}
    for index in range(11):
        frame = labels.frames[index]
        assert frame.mask is not None
        assert ((frame.mask == ids["left"]) == (truth[index] == 1).numpy()).mean() > 0.95
        left = 60.0 - 4 * index
        assert np.abs(frame.boxes[ids["right"]] - [left, 28, left + 16, 44]).max() <= 3.0, index
        corners = frame.keypoints[ids["corners"]]
        assert np.abs(corners[:2] - [[9 + 4 * index, 9], [14.5 + 4 * index, 14]]).max() < 2.0, index
        assert np.isnan(corners[2]).all()
        assert np.abs(frame.keypoints[ids["middle"]] - [[68 - 4 * index, 36]]).max() < 2.0, index
    points = read_labels(out / "labels.points_csv.csv", size=SIZE, num_frames=11)
    assert {each.kind for each in points.objects} == {"keypoints", "point"}
    assert points.frames[10].pts_seconds == 10 / 25
    soft = np.asarray(Image.open(out / "soft_masks" / "1" / "00005.png"))
    assert soft.dtype == np.uint16
    assert ((soft > 32768) == (truth[5] == 1).numpy()).mean() > 0.95
    assert set(np.unique(read_index_png(result.mask_file(5)))) == {0, 1}
    with open_video(out / "overlay.mp4") as film:
        assert film.num_frames == 11
    assert read_image(out / "contact_sheet.png").shape[1] > 48


def test_boxes_alone_are_given_as_filled_masks_too(squares: Squares, options: dict[str, Any], tmp_path: Path) -> None:
    frames, _, truth = squares
    boxes = mixed(truth).of_kinds(("box",))
    write_labels(tmp_path / "boxes.xml", boxes, "cvat")
    result = propagate_video(frames, tmp_path / "boxes.xml", save_as=("cvat",), **options)
    back = read_labels(options["out"] / "labels.cvat.xml", size=SIZE, num_frames=11)
    for index in range(11):
        left, top, right, bottom = back.frames[index].boxes[back.objects[0].id].round().astype(int)
        mask = read_index_png(result.mask_file(index)) > 0
        assert bool(mask[top:bottom, left:right].all())
        assert int(mask.sum()) == (bottom - top) * (right - left)


def test_tables_give_exact_times_and_confidence(squares: Squares, options: dict[str, Any]) -> None:
    frames, labels, _ = squares
    propagate_video(frames, labels, overlay=False, **options)
    lines = list(csv.DictReader((options["out"] / "objects.csv").open()))
    assert len(lines) == 22
    assert (lines[0]["confidence"], lines[0]["status"], lines[0]["area"]) == ("1.0", "labeled", "256")
    assert all(0 < float(line["confidence"]) < 1 and line["status"] == "seen" for line in lines[2:])
    assert float(lines[-1]["time_seconds"]) == 10 / 25
    review = list(csv.DictReader((options["out"] / "review.csv").open()))
    assert len(review) == 2
    assert float(review[0]["confidence"]) == min(float(line["confidence"]) for line in lines)
    apart = abs(int(review[0]["frame"]) - int(review[1]["frame"]))
    assert review[0]["object"] != review[1]["object"] or apart >= 5
    assert all(line["reason"] for line in review)


def test_void_pixels_belong_to_nobody(squares: Squares, options: dict[str, Any], tmp_path: Path) -> None:
    frames, _, truth = squares
    mask = truth[0].clone()
    mask[mask == 2] = 255
    write_index_png(tmp_path / "void.png", mask)
    result = propagate_video(frames, tmp_path / "void.png", overlay=False, **options)
    assert result.objects == (1,)
    assert set(read_index_png(result.mask_file(9)).unique().tolist()) == {0, 1}


def test_ids_beyond_a_byte(squares: Squares, options: dict[str, Any]) -> None:
    frames, _, truth = squares
    labels = VideoLabels(
        SIZE,
        11,
        (LabelObject(300, "far", "mask"),),
        {0: FrameLabels(mask=(truth[0] == 1).numpy().astype(np.uint16) * 300)},
    )
    result = propagate_video(frames, labels, save_as=("coco",), **options)
    mask = np.asarray(Image.open(result.mask_file(10)))
    assert ((mask == 300) == (truth[10] == 1).numpy()).mean() > 0.95
    assert (options["out"] / "labels.coco.json").is_file()


def test_one_line_for_bad_labels(squares: Squares, options: dict[str, Any], tmp_path: Path) -> None:
    frames, labels, _ = squares
    files = {name: tmp_path / name for name in ("empty.png", "broken.json", "late.csv", "nan.csv", "notes.txt")}
    write_index_png(files["empty.png"], torch.zeros(SIZE, dtype=torch.uint8))
    files["broken.json"].write_text('{"images": [')
    files["late.csv"].write_text("frame,object,point,x,y\n11,1,point,3,4\n")
    files["nan.csv"].write_text("frame,object,point,x,y\n0,1,point,nan,4\n")
    files["notes.txt"].write_text("hello")
    other = VideoLabels(
        (10, 10), None, (LabelObject(1, "a", "point"),), {0: FrameLabels(keypoints={1: np.ones((1, 2))})}
    )
    coco = {
        "images": [{"id": 1, "file_name": "00000.png", "width": 80, "height": 48}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4]}],
    }
    (tmp_path / "unknown.json").write_text(json.dumps(coco))
    cases: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
        (files["empty.png"], {}, LabelError, "empty"),
        (files["broken.json"], {}, LabelError, "broken.json"),
        (files["late.csv"], {}, LabelError, "past the end"),
        (files["nan.csv"], {}, LabelError, "nan"),
        (files["notes.txt"], {}, LabelError, "formats are"),
        (tmp_path / "unknown.json", {}, LabelError, "7"),
        (tmp_path / "nothing.png", {}, LabelError, "no such file"),
        (labels, {"label_frame": 11}, LabelError, "past the end"),
        (files["late.csv"], {"label_frame": 3}, LabelError, "single mask"),
        (labels, {"save_as": ("xls",)}, ConfigError, "coco"),
        (labels, {"save_as": ("sleap",)}, LabelError, "mask"),
        (labels, {"label_format": "xls"}, LabelError, "formats are"),
        (other, {}, LabelError, "10 x 10"),
    ]
    for given, settings, error, message in cases:
        with pytest.raises(error, match=message) as caught:
            propagate_video(frames, given, **settings, **options)
        assert "\n" not in str(caught.value)
    assert not options["out"].exists()


def test_channels_tell_apart_what_overlaps(squares: Squares, options: dict[str, Any]) -> None:
    frames, _, truth = squares
    labels = mixed(truth)
    objects = (LabelObject(7, "around", "box"), *labels.objects[1:2])
    first = replace(
        labels.frames[0],
        mask=None,
        keypoints={},
        boxes={7: np.array([56.0, 24.0, 80.0, 48.0]), **labels.frames[0].boxes},
    )
    propagate_video(frames, VideoLabels(SIZE, 11, objects, {0: first}), save_as=("coco",), overlay=False, **options)
    back = read_labels(options["out"] / "labels.coco.json", size=SIZE)
    outer, inner = (back.frames[1].boxes[each.id] for each in sorted(back.objects, key=lambda each: each.name))
    assert bool((outer[:2] < inner[:2]).all())
    assert bool((outer[2:] > inner[2:]).all())
