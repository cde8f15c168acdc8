"""CVAT for video files as CVAT exports them."""

import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from mmssl.errors import LabelError
from mmssl.propagation.exchange import cvat, read_labels
from mmssl.propagation.video_labels import LabelWarning, VideoLabels

HEAD = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><name>t</name><size>20</size><mode>interpolation</mode><labels>
<label><name>car</name><color>#c06080</color><attributes/></label>
<label><name>fly</name><type>skeleton</type><svg>&lt;line data-type="edge" data-node-from="7" data-node-to="9"&gt;&lt;/line&gt;
&lt;circle data-type="element node" data-node-id="7" data-label-name="head"&gt;&lt;/circle&gt;
&lt;circle data-type="element node" data-node-id="9" data-label-name="tail"&gt;&lt;/circle&gt;</svg></label>
<label><name>head</name><type>points</type><parent>fly</parent></label>
</labels><original_size><width>40</width><height>30</height></original_size></task></meta>
"""
SIZE = (30, 40)


def box(frame: int, left: float, *, outside: int = 0, keyframe: int = 1, more: str = "") -> str:
    edges = f'xtl="{left:.2f}" ytl="2.00" xbr="{left + 10:.2f}" ybr="8.00"'
    flags = f'outside="{outside}" occluded="0" keyframe="{keyframe}" z_order="0"'
    return f'<box frame="{frame}" {edges} {flags} {more}/>'


def track(*shapes: str, number: int = 0, label: str = "car", more: str = "") -> str:
    return f'<track id="{number}" label="{label}" source="manual" {more}>{"".join(shapes)}</track>'


def read(folder: Path, *tracks: str, num_frames: int = 20, **options: bool) -> VideoLabels:
    path = folder / "annotations.xml"
    path.write_text(HEAD + "".join(tracks) + "</annotations>")
    return read_labels(path, size=SIZE, num_frames=num_frames, **options)


def test_boxes_move_straight_between_keyframes_and_stop_where_they_are_outside(tmp_path: Path) -> None:
    shapes = [box(2, 1), box(6, 9), box(8, 9, outside=1), box(11, 3), box(12, 4, keyframe=0)]
    labels = read(tmp_path, track(*shapes, number=4))
    (car,) = labels.objects
    assert (car.id, car.name, car.kind, car.color) == (5, "car", "box", (0xC0, 0x60, 0x80))
    lefts = {index: float(frame.boxes[5][0]) for index, frame in labels.frames.items()}
    assert lefts == {2: 1.0, 3: 3.0, 4: 5.0, 5: 7.0, 6: 9.0, 7: 9.0, 11: 3.0, 12: 4.0}
    only = read(tmp_path, track(*shapes, number=4), keyframes_only=True)
    assert list(only.frames) == [2, 6, 11]


def test_single_points_and_joints_move_and_several_points_stay(tmp_path: Path) -> None:
    flags = 'outside="0" occluded="0" keyframe="1"'
    point = [f'<points frame="{frame}" points="{x},4" {flags}/>' for frame, x in ((0, 2), (2, 6))]
    pair = [f'<points frame="{frame}" points="{x},4;1,1" {flags}/>' for frame, x in ((0, 2), (2, 6))]
    joints = [
        f'<skeleton frame="{frame}" keyframe="1" z_order="0"><points label="tail" points="{x},0" {flags}/>'
        f'<points label="head" points="{x},9" outside="{gone}" occluded="0" keyframe="1"/></skeleton>'
        for frame, x, gone in ((0, 1, 0), (2, 3, 1))
    ]
    labels = read(tmp_path, track(*point), track(*pair, number=1), track(*joints, number=2, label="fly"))
    assert [each.kind for each in labels.objects] == ["point", "keypoints", "keypoints"]
    assert labels.object(3).keypoint_names == ("head", "tail")
    assert labels.object(3).skeleton == ((0, 1),)
    middle = labels.frames[1].keypoints
    np.testing.assert_array_equal(middle[1], [[4, 4]])
    np.testing.assert_array_equal(middle[2], [[2, 4], [1, 1]])
    np.testing.assert_array_equal(middle[3], [[1, 9], [2, 0]])
    np.testing.assert_array_equal(labels.frames[2].keypoints[3], [[np.nan, np.nan], [3, 0]])


def mask(frame: int, *, left: int = 3, outside: int = 0) -> str:
    return (
        f'<mask frame="{frame}" outside="{outside}" occluded="0" keyframe="1" rle="1, 2, 2, 1" '
        f'left="{left}" top="5" width="3" height="2" z_order="0"/>'
    )


def test_masks_are_objects_by_group_by_label_or_alone(tmp_path: Path) -> None:
    one_frame = [track(mask(0), mask(1, outside=1)), track(mask(0, left=10), number=1)]
    labels = read(tmp_path, *one_frame)
    assert [(each.id, each.name, each.kind) for each in labels.objects] == [(1, "car", "mask"), (2, "car", "mask")]
    found = labels.frames[0].mask
    assert found is not None
    assert np.argwhere(found == 1).tolist() == [[5, 4], [5, 5], [6, 5]]
    by_label = read(tmp_path, track(mask(0)), track(mask(4), number=1))
    assert len(by_label.objects) == 1
    assert list(by_label.frames) == [0, 4]
    with pytest.raises(
        LabelError, match=r"several masks of 'car' on a frame, .* give the masks of one object the same group"
    ):
        read(tmp_path, *one_frame, track(mask(4), number=2))
    grouped = [track(mask(frame, left=left), more=f'group_id="{left}"') for frame in (0, 4) for left in (3, 10)]
    assert [each.id for each in read(tmp_path, *grouped).objects] == [3, 10]


def test_polygons_become_masks(tmp_path: Path) -> None:
    labels = read(
        tmp_path, track('<polygon frame="0" points="4.00,5.00;14.00,5.00;14.00,11.00;4.00,11.00" keyframe="1"/>')
    )
    expected = np.zeros(SIZE, dtype=np.uint8)
    expected[5:11, 4:14] = 1
    np.testing.assert_array_equal(labels.frames[0].mask, expected)


def test_a_rotated_box_is_the_upright_box_around_it(tmp_path: Path) -> None:
    with pytest.warns(LabelWarning, match=r"rotated boxes are read as the upright boxes around them"):
        labels = read(tmp_path, track(box(0, 10, more='rotation="90.00"')))
    np.testing.assert_allclose(labels.frames[0].boxes[1], [12, 0, 18, 10])


def test_the_zip_that_cvat_exports(tmp_path: Path, plain: VideoLabels) -> None:
    cvat.write(tmp_path / "annotations.xml", plain)
    with zipfile.ZipFile(tmp_path / "task.zip", "w") as archive:
        archive.write(tmp_path / "annotations.xml", "annotations.xml")
    found = read_labels(tmp_path / "task.zip", size=plain.size, num_frames=8)
    assert found.objects == plain.objects
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(LabelError, match=r"the zip holds no annotations.xml"):
        read_labels(tmp_path / "other.zip", size=plain.size)


def test_what_cvat_needs_to_import(tmp_path: Path, rich: VideoLabels) -> None:
    """A mask track has one mask that is seen, first; the others end with a shape that is outside; every shape says its flags."""
    with pytest.warns(LabelWarning, match=r"lost flags"):
        cvat.write(tmp_path / "a.xml", rich)
    root = ElementTree.parse(tmp_path / "a.xml").getroot()
    assert [each.tag for each in root[:2]] == ["version", "meta"]
    for element in root.iterfind("track"):
        shapes = list(element)
        assert [int(shape.get("frame", "")) for shape in shapes] == sorted({int(s.get("frame", "")) for s in shapes})
        off = [shape.find("points") if shape.tag == "skeleton" else shape for shape in shapes]
        seen = [each is not None and each.get("outside") == "0" for each in off]
        assert seen[0]
        if shapes[0].tag == "mask":
            assert seen in ([True, False], [True])
        else:
            assert seen == [True, True, True, False, True, False]
            assert [shape.get("frame") for shape in shapes] == ["0", "1", "2", "3", "5", "6"]
    names = [each.findtext("name") for each in root.iterfind("meta/task/labels/label") if not each.findtext("parent")]
    assert names == [each.name for each in rich.objects]


def test_boxes_and_joints_keep_their_lost_flags(tmp_path: Path, rich: VideoLabels) -> None:
    labels = rich.of_kinds(["box", "keypoints"])
    with pytest.warns(LabelWarning, match=r"frames without any object"):
        cvat.write(tmp_path / "a.xml", labels)
    found = cvat.read(tmp_path / "a.xml", size=labels.size, num_frames=8)
    assert found.objects == labels.objects
    assert {index: frame.lost for index, frame in found.frames.items() if frame.lost} == {6: frozenset({4, 5})}
    assert found.frames[2].confidences == {4: 0.5, 5: 0.75}
    np.testing.assert_array_equal(found.frames[1].keypoint_confidences[5], [0.1, 0.2, np.nan])


@pytest.mark.parametrize(
    ("tracks", "message"),
    [
        ("", "holds no <track>; export as 'CVAT for video 1.1'"),
        ('<image id="0" name="a.jpg"/>', "is CVAT for images; export as 'CVAT for video 1.1'"),
        (track('<ellipse frame="0"/>'), "track 0 (car) is a ellipse, which is not supported"),
        (track('<box frame="3" xtl="1"/>'), "track 0 (car), frame 3: box: 'ytl' is missing"),
        (track(box(0, float("nan"))), "track 0 (car), frame 0: box: a coordinate is not a finite number"),
        (track(box(0, 1), box(0, 2)), "track 0 (car) stands twice on frame 0"),
        (track(box(20, 1)), "frame 20 is past the end; the video has 20 frames, numbered 0 to 19"),
        (track(box(0, 1), mask(1)), "object 1 (car) mixes box and mask"),
        (track('<points frame="0" points="1,2,3"/>'), "points must be x,y;x,y;..."),
        (track('<polygon frame="0" points="1,2;3,4"/>'), "a polygon has 2 corners"),
        (track(mask(0).replace("1, 2, 2, 1", "1, 2, 2")), "add up to 5 pixels, expected 6"),
        (track(mask(0, left=39)), "reaches to (42, 7), outside of the video's 40 x 30 pixels"),
        (track(mask(0).replace("1, 2", "1, x")), "invalid literal for int()"),
        (track(box(0, 1), label=""), "track 0 () has no label"),
        (track(box(0, 1, outside=1)), "the labels are empty"),
        (track(box(0, 1), box(3_000_000, 2)), "3000000 frames between two shapes"),
    ],
)
def test_bad_files(tracks: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(LabelError) as caught:
        read(tmp_path, tracks)
    assert str(caught.value).startswith(f"{tmp_path / 'annotations.xml'}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_xml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    for text, message in [
        ("<svg/>", "is XML but not CVAT's: starts with <svg>"),
        ("<annotations><track>", "is not XML, or cut short"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotations/>', "declares its own XML entities"),
    ]:
        path.write_text(text)
        with pytest.raises(LabelError, match=message):
            read_labels(path, size=SIZE)
