"""DeepLabCut tables and plain tables of points as people have them."""

from pathlib import Path

import numpy as np
import pytest

from mmssl.errors import LabelError
from mmssl.propagation.exchange import deeplabcut, points_csv, read_labels
from mmssl.propagation.video_labels import FrameLabels, LabelObject, LabelWarning, VideoLabels

SIZE = (30, 40)
PROJECT = """scorer,,,Ann,Ann,Ann,Ann
bodyparts,,,snout,snout,tail,tail
coords,,,x,y,x,y
labeled-data,clip,img0003.png,10.0,11.5,,
labeled-data,clip,img0012.png,12.25,13.0,20.0,21.0
"""
OLD_PROJECT = PROJECT.replace("scorer,,,", "scorer,").replace("s,,,", "s,").replace("data,clip,img", "data/clip/img")
NETWORK = """scorer,DLC_resnet50,DLC_resnet50,DLC_resnet50
bodyparts,snout,snout,snout
coords,x,y,likelihood
0,1.5,2.5,0.99
1,2.5,3.5,0.25
"""
SEVERAL = """scorer,,,Ann,Ann,Ann,Ann,Ann,Ann
individuals,,,mus1,mus1,mus2,mus2,single,single
bodyparts,,,snout,snout,snout,snout,corner,corner
coords,,,x,y,x,y,x,y
labeled-data,clip,img0001.png,1,2,3,4,,
labeled-data,clip,img0002.png,,,5,6,7,8
"""


def read(folder: Path, text: str, **options: int) -> VideoLabels:
    path = folder / "labels.csv"
    path.write_text(text)
    return read_labels(path, size=SIZE, num_frames=20, **options)


@pytest.mark.parametrize("text", [PROJECT, OLD_PROJECT, PROJECT.replace("\n", "\r\n"), "\ufeff" + PROJECT])
def test_a_project_of_one_animal(text: str, tmp_path: Path) -> None:
    labels = read(tmp_path, text)
    assert labels.objects == (LabelObject(1, "object 1", "keypoints", ("snout", "tail")),)
    assert list(labels.frames) == [3, 12]
    np.testing.assert_array_equal(labels.frames[3].keypoints[1], [[10.5, 12], [np.nan, np.nan]])
    np.testing.assert_array_equal(labels.frames[12].keypoints[1], [[12.75, 13.5], [20.5, 21.5]])
    assert list(read(tmp_path, text, first_number=1).frames) == [2, 11]


def test_what_a_network_wrote(tmp_path: Path) -> None:
    labels = read(tmp_path, NETWORK)
    assert list(labels.frames) == [0, 1]
    np.testing.assert_array_equal(labels.frames[1].keypoints[1], [[3, 4]])
    np.testing.assert_array_equal(labels.frames[1].keypoint_confidences[1], [0.25])


def test_several_animals_and_points_of_none(tmp_path: Path) -> None:
    labels = read(tmp_path, SEVERAL)
    assert [(each.id, each.name, each.keypoint_names) for each in labels.objects] == [
        (1, "mus1", ("snout",)),
        (2, "mus2", ("snout",)),
        (3, "single", ("corner",)),
    ]
    assert set(labels.frames[1].keypoints) == {1, 2}
    assert set(labels.frames[2].keypoints) == {2, 3}


def test_the_layouts_that_are_written(tmp_path: Path) -> None:
    fly = LabelObject(1, "object 1", "keypoints", ("snout", "tail"))
    points = {3: [[10.5, 12], [np.nan, np.nan]], 12: [[12.75, 13.5], [20.5, 21.5]]}
    labels = VideoLabels(
        SIZE, 20, (fly,), {index: FrameLabels(keypoints={1: np.array(xy)}) for index, xy in points.items()}
    )
    deeplabcut.write(tmp_path / "a.csv", labels, scorer="Ann", image_folder="clip")
    assert (tmp_path / "a.csv").read_text() == PROJECT
    deeplabcut.write(tmp_path / "b.csv", labels, multi_animal=True)
    assert (tmp_path / "b.csv").read_text().split("\n")[1] == "individuals" + ",object 1" * 4
    named = VideoLabels(SIZE, 20, (LabelObject(1, "fly", "keypoints", ("snout", "tail")),), labels.frames)
    with pytest.warns(LabelWarning, match=r"DeepLabCut CSV does not hold names; left out"):
        deeplabcut.write(tmp_path / "c.csv", named)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            PROJECT.replace("bodyparts", "parts"),
            "is not a DeepLabCut table: its first rows start with ['scorer', 'parts'",
        ),
        (PROJECT.replace("coords,,,x", "coords,,,z"), "the column of object 1 snout is called 'z'"),
        (PROJECT.replace("x,y,x,y", "x,x,x,y"), "the column x of object 1 snout stands twice"),
        (PROJECT.replace("Ann,Ann\n", "Ann,Bob\n"), "holds labels of 2 scorers ['Ann', 'Bob']"),
        (PROJECT.replace("snout,snout,tail,tail", "snout,snout,tail,tip"), "object 1 tail has no column y"),
        (PROJECT.replace("bodyparts,,,snout,", "bodyparts,,,"), "its header rows have different lengths"),
        (PROJECT.replace(",20.0,21.0", ",20.0"), "line 5 has 6 cells, the header has 7"),
        (PROJECT.replace("20.0", "wide"), "line 5: could not convert string to float: 'wide'"),
        (PROJECT.replace("img0012", "img"), "line 5: the image name 'img.png' holds no frame number"),
        (PROJECT.replace("0012", "0003"), "lines 4 and 5 are both frame 3"),
        (PROJECT.replace("0012", "0020"), "frame 20 is past the end"),
        (PROJECT.replace("10.0,", ","), "a point of object 1 (object 1) is not two finite numbers"),
        (PROJECT.replace("10.0,", "inf,"), "a point of object 1 (object 1) is not two finite numbers"),
        ("\n".join(PROJECT.split("\n")[:3]), "the labels are empty"),
    ],
)
def test_bad_deeplabcut_tables(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(LabelError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'labels.csv'}: ")
    assert message in str(caught.value)


def test_points_as_people_write_them(tmp_path: Path) -> None:
    labels = read(tmp_path, "x, y, Frame\n1.5,2,0\n\n3,4,7\n")
    assert labels.objects == (LabelObject(1, "object 1", "point"),)
    np.testing.assert_array_equal(labels.frames[7].keypoints[1], [[3, 4]])
    labels = read(
        tmp_path,
        "frame,time_seconds,object,point,x,y,confidence\n"
        "4,0.16,fly,head,1,2,0.5\n4,,fly,tail,,,\n4,,7,,5,6,\n9,0.36,fly,tail,3,4,\n",
    )
    assert labels.objects == (LabelObject(1, "fly", "keypoints", ("head", "tail")), LabelObject(7, "object 7", "point"))
    assert [frame.pts_seconds for frame in labels.frames.values()] == [0.16, 0.36]
    np.testing.assert_array_equal(labels.frames[9].keypoints[1], [[np.nan, np.nan], [3, 4]])
    np.testing.assert_array_equal(labels.frames[4].keypoint_confidences[1], [0.5, np.nan])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frame,x,y,z\n0,1,2,3\n", "is not a table of points: its columns are ['frame', 'x', 'y', 'z']"),
        ("frame,x,y\n0,1\n", "line 2 has 2 cells, the header has 3"),
        ("frame,x,y\n0,nan,2\n", "line 2: x is 'nan'; expected a number, or nothing where the point is absent"),
        ("frame,x,y\n0,1,inf\n", "line 2: y is 'inf'"),
        ("frame,x,y\n0,1,\n", "line 2: y is empty; leave both empty for an absent point"),
        ("frame,x,y\n1.5,1,2\n", "line 2: the frame is '1.5'; expected a whole number from 0"),
        ("frame,x,y\n-1,1,2\n", "line 2: the frame is '-1'"),
        ("frame,x,y\n20,1,2\n", "frame 20 is past the end; the video has 20 frames"),
        ("frame,x,y\n0,1,2\n0,1,2\n", "frame 0: a point of 'object 1' stands twice"),
        ("frame,x,y\n0,,\n", "the labels are empty"),
    ],
)
def test_bad_tables_of_points(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(LabelError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'labels.csv'}: ")
    assert message in str(caught.value)


def test_names_tell_objects_apart(tmp_path: Path) -> None:
    objects = (LabelObject(1, "fly", "point"), LabelObject(2, "fly", "point"))
    labels = VideoLabels(SIZE, None, objects, {0: FrameLabels(keypoints={1: np.ones((1, 2)), 2: np.ones((1, 2))})})
    for module in (deeplabcut, points_csv):
        with pytest.raises(
            LabelError, match=r"tells objects apart by name, and 2 are called 'fly'; rename all but one"
        ):
            module.write(tmp_path / "a.csv", labels)
