"""COCO files as other tools write them."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as codec
from pycocotools.coco import COCO

from mmssl.errors import LabelError
from mmssl.propagation.exchange import coco, read_labels
from mmssl.propagation.video_labels import LabelWarning, VideoLabels

SIZE = (30, 40)
SQUARE = [4.0, 5.0, 14.0, 5.0, 14.0, 11.0, 4.0, 11.0]


def content() -> dict[str, Any]:
    """A dog as a polygon on frame 3, as run lengths on frame 12; a person's joints on frame 3."""
    dense = np.zeros(SIZE, dtype=np.uint8)
    dense[2:9, 10:20] = 1
    packed = codec.encode(np.asfortranarray(dense))
    return {
        "info": {},
        "images": [
            {"id": 70, "file_name": "clip/frame_000003.jpg", "width": 40, "height": 30},
            {"id": 71, "file_name": "clip/frame_000012.jpg", "width": 40, "height": 30},
            {"id": 72, "file_name": "clip/frame_000013.jpg", "width": 40, "height": 30},
        ],
        "categories": [
            {"id": 1, "name": "person", "keypoints": ["nose", "hand", "foot"], "skeleton": [[1, 2], [1, 3]]},
            {"id": 18, "name": "dog", "supercategory": "animal"},
        ],
        "annotations": [
            {"id": 1, "image_id": 70, "category_id": 18, "segmentation": [SQUARE], "bbox": [4, 5, 10, 6], "iscrowd": 0},
            {
                "id": 2,
                "image_id": 71,
                "category_id": 18,
                "segmentation": {"size": [30, 40], "counts": packed["counts"].decode()},
                "bbox": [10, 2, 10, 7],
            },
            {"id": 3, "image_id": 70, "category_id": 1, "keypoints": [5, 6, 2, 0, 0, 0, 39, 29, 1], "num_keypoints": 2},
        ],
    }


@pytest.fixture
def read(tmp_path: Path) -> Callable[[Any], VideoLabels]:
    def call(value: Any, **options: Any) -> VideoLabels:
        path = tmp_path / "a.json"
        path.write_text(json.dumps(value))
        return read_labels(path, size=SIZE, num_frames=20, **options)

    return call


def test_polygons_run_lengths_and_joints(read: Callable[..., VideoLabels]) -> None:
    labels = read(content())
    person, dog = labels.objects
    assert (person.id, person.name, person.keypoint_names, person.skeleton) == (
        1,
        "person",
        ("nose", "hand", "foot"),
        ((0, 1), (0, 2)),
    )
    assert (dog.id, dog.name, dog.kind) == (18, "dog", "mask")
    assert list(labels.frames) == [3, 12]
    first, second = (np.zeros(SIZE, dtype=np.uint8) for _ in range(2))
    first[5:11, 4:14], second[2:9, 10:20] = 18, 18
    np.testing.assert_array_equal(labels.frames[3].mask, first)
    np.testing.assert_array_equal(labels.frames[12].mask, second)
    np.testing.assert_array_equal(labels.frames[3].keypoints[1], [[5.5, 6.5], [np.nan, np.nan], [39.5, 29.5]])
    assert list(read(content(), first_number=3).frames) == [0, 9]
    value = content()
    value["images"][0]["frame_id"] = 5
    value["images"][1]["frame_index"] = 2
    assert list(read(value, first_number=1).frames) == [2, 4]


def test_plain_counts_and_boxes(read: Callable[..., VideoLabels]) -> None:
    value = content()
    value["annotations"] = [
        {"image_id": 70, "category_id": 18, "bbox": [1.5, 2, 3, 4.25], "track_id": 0, "score": 0.5},
        {"image_id": 70, "category_id": 18, "segmentation": {"size": [30, 40], "counts": [30, 2, 1168]}, "track_id": 5},
    ]
    labels = read(value)
    assert [(each.id, each.kind) for each in labels.objects] == [(1, "box"), (2, "mask")]
    np.testing.assert_array_equal(labels.frames[3].boxes[1], [1.5, 2, 4.5, 6.25])
    assert labels.frames[3].confidences == {1: 0.5}
    mask = labels.frames[3].mask
    assert mask is not None
    assert np.argwhere(mask).tolist() == [[0, 1], [1, 1]]


def test_which_annotations_are_of_one_object(read: Callable[..., VideoLabels]) -> None:
    value = content()
    dogs = [each for each in value["annotations"] if each["category_id"] == 18]
    one_frame = [dogs[0], dogs[0] | {"segmentation": [[30.0, 5, 36, 5, 36, 11]]}]
    labels = read(value | {"annotations": one_frame})
    assert [(each.id, each.name) for each in labels.objects] == [(1, "dog"), (2, "dog")]
    two_frames = [*one_frame, dogs[1]]
    with pytest.raises(LabelError, match=r"several annotations of one category on an image, and no track_id"):
        read(value | {"annotations": two_frames})
    tracked = [
        each | extra
        for each, extra in zip(
            two_frames,
            ({"track_id": 4}, {"instance_id": 9}, {"attributes": {"track_id": 9, "occluded": False}}),
            strict=True,
        )
    ]
    labels = read(value | {"annotations": tracked})
    assert [each.id for each in labels.objects] == [4, 9]
    second = labels.frames[12].mask
    assert second is not None
    assert set(np.unique(second)) == {0, 9}
    with pytest.raises(LabelError, match=r"annotation 1 has no track_id, others have"):
        read(value | {"annotations": [tracked[0], one_frame[1]]})


def test_overlaps_and_second_kinds_are_announced(read: Callable[..., VideoLabels]) -> None:
    value = content()
    value["annotations"][2]["segmentation"] = [SQUARE]
    with pytest.warns(LabelWarning, match=r"1 annotations have keypoints and a mask"):
        read(value)
    value = content()
    value["annotations"][:2] = [{**value["annotations"][0], "track_id": track} for track in (1, 2)]
    value["annotations"].pop()
    with pytest.warns(LabelWarning, match=r"overlap by 60 pixels on 1 frames; the later object in the file has them"):
        labels = read(value)
    mask = labels.frames[3].mask
    assert mask is not None
    assert set(np.unique(mask)) == {0, 2}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_official_tools_read_what_is_written(tmp_path: Path, rich: VideoLabels, capsys: pytest.CaptureFixture) -> None:
    coco.write(tmp_path / "a.json", rich)
    tool = COCO(str(tmp_path / "a.json"))
    annotations = tool.loadAnns(tool.getAnnIds(imgIds=[1]))
    assert len(annotations) == 5
    expected = rich.frames[0].mask
    assert expected is not None
    for each in annotations:
        if isinstance(each.get("segmentation"), dict):
            np.testing.assert_array_equal(tool.annToMask(each).astype(bool), expected == each["track_id"])
            assert each["area"] == (expected == each["track_id"]).sum()
    assert [each["file_name"] for each in tool.dataset["images"]][:2] == ["00000.jpg", "00001.jpg"]


def broken(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    value = content()
    change(value)
    return value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (broken(lambda v: v.pop("categories")), "is not COCO: categories: Field required"),
        (
            broken(lambda v: v["annotations"][0].update(bbox="wide")),
            "is not COCO: annotations.0.bbox: Input should be a valid list",
        ),
        (broken(lambda v: v["annotations"][1].update(image_id=9)), "annotation 1 is on the unknown image 9"),
        (broken(lambda v: v["annotations"][1].update(category_id=9)), "annotation 1 is of the unknown category 9"),
        (
            broken(lambda v: v["images"][0].update(file_name="dog.jpg")),
            "the image name 'dog.jpg' holds no frame number",
        ),
        (
            broken(lambda v: v["images"][0].update(file_name="12.jpg")),
            "two images have the same id or are the same frame",
        ),
        (
            broken(lambda v: v["images"][0].update(file_name="40.jpg")),
            "frame 40 is past the end; the video has 20 frames",
        ),
        (broken(lambda v: v["images"][0].update(width=41)), "has 41 x 30 pixels, the video 40 x 30"),
        (broken(lambda v: [each.update(video_id=at) for at, each in enumerate(v["images"])]), "holds 3 videos"),
        (
            broken(lambda v: v["annotations"][1]["segmentation"].update(size=[40, 30])),
            "mask has 30 x 40 pixels, the video 40 x 30",
        ),
        (
            broken(lambda v: v["annotations"][1]["segmentation"].update(counts="10")),
            "add up to 1 pixels, expected 1200",
        ),
        (broken(lambda v: v["annotations"][0].update(segmentation=[[1, 2, 3, 4]])), "a polygon has 4 numbers"),
        (
            broken(lambda v: v["annotations"][0].update(segmentation=[[1, 2, 3, 4, 1e9, 0]])),
            "lies far outside of the video",
        ),
        (
            broken(lambda v: v["annotations"][2].update(keypoints=[1, 2, 2])),
            "has 3 keypoint numbers, expected 3 for each of 3",
        ),
        (broken(lambda v: v.update(annotations=[])), "the labels are empty"),
        ([{"image_id": 1, "score": 1.0}], "is a list of results without images and categories"),
        ({"images": [], "annotations": [{"segmentations": []}], "categories": []}, "is YouTube-VIS"),
    ],
)
def test_bad_files(value: Any, message: str, read: Callable[..., VideoLabels], tmp_path: Path) -> None:
    with pytest.raises(LabelError) as caught:
        read(value)
    assert str(caught.value).startswith(f"{tmp_path / 'a.json'}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    text = json.dumps(broken(lambda v: v["annotations"][2].update(keypoints=[float("nan")] * 9)))
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(LabelError, match=r"is not JSON, or cut short"):
        read_labels(tmp_path / "a.json", size=SIZE)


def test_without_pycocotools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, plain: VideoLabels) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(
        LabelError, match=r"COCO masks need pycocotools, which is not installed: pip install pycocotools"
    ):
        coco.write(tmp_path / "a.json", plain)
    coco.write(tmp_path / "a.json", plain.of_kinds(["box", "point"]))
    assert coco.read(tmp_path / "a.json", size=plain.size).kinds() == {"box", "point"}
