"""Label Studio exports as Label Studio writes them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmssl.errors import LabelError
from mmssl.propagation.exchange import brush, label_studio, read_labels
from mmssl.propagation.video_labels import LabelWarning, VideoLabels

SIZE = (50, 200)


def position(frame: int, x: float, *, enabled: bool = True, rotation: float = 0) -> dict[str, Any]:
    shape = {"x": x, "y": 20.0, "width": 10.0, "height": 40.0, "rotation": rotation}
    return {"frame": frame, "enabled": enabled, "time": (frame - 1) / 25, **shape}


def video(*sequence: dict[str, Any], count: int = 12, label: str = "Car") -> dict[str, Any]:
    value = {"framesCount": count, "duration": 0.48, "sequence": list(sequence), "labels": [label]}
    return {"id": "tJhYZLMC9G", "type": "videorectangle", "from_name": "box", "to_name": "video", "value": value}


def task(*results: dict[str, Any], **data: Any) -> dict[str, Any]:
    return {
        "id": 1,
        "data": data or {"video": "s3://bucket/a.mp4"},
        "annotations": [{"id": 5, "result": list(results)}],
    }


def region(kind: str, label: str, value: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": more.pop("id", f"r{abs(hash((kind, label)))}"),
        "type": kind,
        "original_width": 200,
        "original_height": 50,
        "value": {kind: [label], **value},
        **more,
    }


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., VideoLabels]:
    def call(value: Any, **options: Any) -> VideoLabels:
        path = tmp_path / "a.json"
        path.write_text(json.dumps(value))
        return read_labels(path, **({"size": SIZE, "num_frames": 12} | options))

    return call


def test_rectangles_through_a_video(read: Callable[..., VideoLabels]) -> None:
    value = [task(video(position(2, 10.0), position(4, 30.0, enabled=False), position(9, 50.0), position(11, 60.0)))]
    labels = read(value)
    (car,) = labels.objects
    assert (car.id, car.name, car.kind) == (1, "Car", "box")
    lefts = {index: float(frame.boxes[1][0]) for index, frame in labels.frames.items()}
    assert lefts == {1: 20.0, 2: 40.0, 3: 60.0, 8: 100.0, 9: 110.0, 10: 120.0, 11: 120.0}
    np.testing.assert_allclose(labels.frames[1].boxes[1], [20, 10, 40, 30])
    assert labels.frames[3].pts_seconds == 3 / 25
    assert list(read(value, keyframes_only=True).frames) == [1, 3, 8, 10]
    assert list(read(value[0]).frames) == list(labels.frames)


def test_another_count_of_frames_is_announced(read: Callable[..., VideoLabels]) -> None:
    with pytest.warns(LabelWarning, match=r"Label Studio counted 11 frames, the video has 12"):
        labels = read([task(video(position(10, 10.0), count=11))])
    assert list(labels.frames) == [9, 10, 11]
    assert list(read([task(video(position(10, 10.0), count=11))], num_frames=None).frames) == [9, 10]


def test_a_turned_rectangle_is_the_upright_one_around_it(read: Callable[..., VideoLabels]) -> None:
    labels = read([task(video(position(1, 50.0, rotation=90.0)))], keyframes_only=True)
    np.testing.assert_allclose(labels.frames[0].boxes[1], [80, 10, 100, 30])


def test_images_with_brush_polygon_rectangle_and_keypoints(read: Callable[..., VideoLabels]) -> None:
    where = np.zeros(SIZE, dtype=bool)
    where[10:20, 30:90] = True
    first = task(
        region("brushlabels", "Dog", {"format": "rle", "rle": brush.pack(where)}, score=0.5),
        region("rectanglelabels", "Ball", {"x": 50, "y": 0, "width": 5, "height": 10}),
        region("keypointlabels", "nose", {"x": 25, "y": 50, "width": 0.3}, meta={"text": ["cat"]}),
        region("keypointlabels", "tail", {"x": 26, "y": 60, "width": 0.3}, meta={"text": ["cat"]}, score=0.25),
        {"type": "choices", "value": {"choices": ["sunny"]}},
        image="/data/local-files/?d=clip/img_0003.jpg",
    )
    second = task(
        region("polygonlabels", "Dog", {"points": [[10, 20], [20, 20], [20, 60], [10, 60]]}),
        photo="http://host/uploads/8fa2-frame7.png?token=99",
    )
    labels = read([first, second])
    dog, ball, cat = labels.objects
    assert [(each.name, each.kind) for each in (dog, ball, cat)] == [
        ("Dog", "mask"),
        ("Ball", "box"),
        ("cat", "keypoints"),
    ]
    assert list(labels.frames) == [3, 7]
    np.testing.assert_array_equal(labels.frames[3].mask == dog.id, where)
    np.testing.assert_allclose(labels.frames[3].boxes[ball.id], [100, 0, 110, 5])
    np.testing.assert_allclose(labels.frames[3].keypoints[cat.id], [[50, 25], [52, 30]])
    np.testing.assert_allclose(labels.frames[3].keypoint_confidences[cat.id], [np.nan, 0.25])
    polygon = np.zeros(SIZE, dtype=bool)
    polygon[10:30, 20:40] = True
    np.testing.assert_array_equal(labels.frames[7].mask == dog.id, polygon)


def test_keypoints_belong_to_their_parent_rectangle(read: Callable[..., VideoLabels]) -> None:
    def animal(name: str, x: float) -> list[dict[str, Any]]:
        parent = region("rectanglelabels", name, {"x": x, "y": 0, "width": 9, "height": 50}, id=f"box-{name}")
        return [parent, region("keypointlabels", "nose", {"x": x, "y": 50}, id=f"k{x}", parentID=f"box-{name}")]

    labels = read([task(*animal("left", 10.0), *animal("right", 60.0), image="0001.jpg")])
    assert [(each.name, each.kind) for each in labels.objects] == [("left", "keypoints"), ("right", "keypoints")]
    np.testing.assert_allclose(labels.frames[1].keypoints[2], [[120, 25]])


def test_regions_of_one_label(read: Callable[..., VideoLabels]) -> None:
    boxes = [region("rectanglelabels", "Ball", {"x": x, "y": 0, "width": 5, "height": 10}, id=f"b{x}") for x in (5, 50)]
    labels = read([task(*boxes, image="0001.jpg")])
    assert [(each.id, each.kind) for each in labels.objects] == [(1, "box"), (2, "box")]
    one_each = [task(box, image=f"{index}.jpg") for index, box in enumerate(boxes)]
    assert [each.name for each in read(one_each).objects] == ["Ball"]
    with pytest.raises(LabelError, match=r"several regions of 'Ball' on frame 1, .* give each object its own label"):
        read([task(*boxes, image="0001.jpg"), task(boxes[0], image="2.jpg")])


def test_predictions_count_where_nobody_annotated(read: Callable[..., VideoLabels]) -> None:
    value = task(video(position(3, 10.0)))
    value["predictions"] = value.pop("annotations")
    value["annotations"] = [{"result": [], "was_cancelled": True}]
    assert list(read([value], keyframes_only=True).frames) == [2]


def test_what_is_edited_keeps_its_object(tmp_path: Path, rich: VideoLabels) -> None:
    """A region that is added in the tool, whose id is random, goes to the object of its label."""
    labels = rich.of_kinds(["mask", "box"])
    label_studio.write(tmp_path / "a.json", labels)
    tasks = json.loads((tmp_path / "a.json").read_text())
    for each in tasks[3]["annotations"][0]["result"]:
        each["id"] = f"random{each['value'].get('brushlabels')}"
    (tmp_path / "a.json").write_text(json.dumps(tasks))
    found = label_studio.read(tmp_path / "a.json", size=labels.size)
    assert found.objects == labels.objects
    np.testing.assert_array_equal(found.frames[5].mask, labels.frames[5].mask)


def test_boxes_alone_are_one_video_task(tmp_path: Path, rich: VideoLabels) -> None:
    labels = rich.of_kinds(["box"])
    with pytest.warns(
        LabelWarning, match=r"a Label Studio video task does not hold frames without any object; left out"
    ):
        label_studio.write(tmp_path / "a.json", labels, video="clip.mp4")
    (only,) = json.loads((tmp_path / "a.json").read_text())
    assert only["data"]["video"] == "clip.mp4"
    (result,) = only["annotations"][0]["result"]
    assert [(each["frame"], each["enabled"]) for each in result["value"]["sequence"]] == [
        (1, True),
        (2, True),
        (3, False),
        (6, False),
    ]
    found = label_studio.read(tmp_path / "a.json", size=labels.size, num_frames=8)
    assert found.objects == labels.objects
    assert found.frames[6].lost == {4}
    assert found.frames[5].confidences == {4: 0.5}
    assert found.frames[5].pts_seconds == 5 / 30


def bad(**value: Any) -> list[dict[str, Any]]:
    return [task(region("brushlabels", "Dog", value), image="1.jpg")]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([{"video": "a.mp4", "box": []}], "task 0 has no data; this may be JSON-MIN, export as JSON"),
        ([task({"type": "timelinelabels", "value": {}})], "a region of type 'timelinelabels', which is not supported"),
        (
            [task({"type": "ellipselabels", "value": {}}, image="1.jpg")],
            "a region of type 'ellipselabels', which is not",
        ),
        ([task(video())], "object 1 (Car) has no keyframes"),
        ([task(video(position(0, 1.0)))], "is on frame 0; Label Studio counts from 1"),
        ([task(video(position(13, 1.0)))], "frame 12 is past the end; the video has 12 frames"),
        ([task(video(position(1, 1.0), position(1, 2.0)))], "frame 0: object 1 is labeled twice"),
        (
            [task(video(position(1, "left")))],
            "is not a Label Studio JSON export: task 0.annotations.0.result.0.value.sequence.0.x",
        ),
        (
            [task(region("rectanglelabels", "a", {"x": 1, "y": 1, "width": 1}), image="1.jpg")],
            "a rectangle has no height",
        ),
        ([task(region("rectanglelabels", "a", {}))], "belongs to an image, and this task shows none"),
        ([task(region("keypointlabels", "a", {"x": 1}), image="1.jpg")], "the keypoint 'a' has no x and y"),
        ([task(region("polygonlabels", "a", {"points": [[1, 2]]}), image="1.jpg")], "a polygon has 1 corners"),
        (
            [task(region("polygonlabels", "a", {}, original_width=201), image="1.jpg")],
            "drawn on 201 x 50 pixels, the video has 200",
        ),
        (bad(format="png", rle=[]), "a brush mask of format 'png'; expected 'rle'"),
        (bad(format="rle", rle=[1, 2]), "frame 1: object 1 (Dog): the brush stroke is cut short"),
        (
            bad(format="rle", rle=brush.pack(np.ones((5, 5), dtype=bool))),
            "the brush stroke is of 25 pixels, the video has 200 x 50",
        ),
        ([task(image="dog.jpg")], "the image name 'dog.jpg' holds no frame number"),
        ([task(image="1.jpg")], "the labels are empty"),
        ([task() | {"annotations": [{"result": []}, {"result": []}]}], "task 0 has 2 annotations; keep one"),
        ([task() | {"annotations": [{"results": []}]}], "task 0 has an annotation without a result list"),
    ],
)
def test_bad_files(value: Any, message: str, read: Callable[..., VideoLabels], tmp_path: Path) -> None:
    with pytest.raises(LabelError) as caught:
        read(value, form="label_studio")
    assert str(caught.value).startswith(f"{tmp_path / 'a.json'}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
