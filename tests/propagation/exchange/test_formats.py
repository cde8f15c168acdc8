"""What holds for every registered format: round trips, announced losses, refused kinds, and one line for bad input."""

import json
import random
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmssl.errors import LabelError
from mmssl.propagation.exchange import LABEL_FORMATS, detect_format, read_labels, write_labels
from mmssl.propagation.video_labels import KINDS, FrameLabels, Kind, LabelObject, LabelWarning, VideoLabels

POINTS: tuple[Kind, ...] = ("keypoints", "point")
HELD: dict[str, tuple[Kind, ...]] = {
    "indexed_png": ("mask",),
    "coco": KINDS,
    "cvat": KINDS,
    "label_studio": KINDS,
    "deeplabcut": POINTS,
    "sleap": POINTS,
    "points_csv": POINTS,
}
LOST_FACTS: dict[str, set[str]] = {
    "indexed_png": {"names", "object confidences", "lost flags", "confidences of unseen objects"},
    "coco": set(),
    "cvat": {"frames without any object", "lost flags", "confidences of unseen objects"},
    "label_studio": set(),
    "deeplabcut": {"ids", "colors", "skeleton edges", "object confidences", "lost flags"},
    "sleap": {"ids", "colors", "lost flags", "frames without any object"},
    "points_csv": {"ids", "colors", "skeleton edges", "object confidences", "lost flags"},
}
FORMS = sorted(LABEL_FORMATS)
CASES = [
    (form, kinds)
    for form in FORMS
    for kinds in [HELD[form], *([(kind,) for kind in HELD[form]] if len(HELD[form]) > 1 else [])]
]
Same = Callable[..., None]


def place(folder: Path, form: str) -> Path:
    return folder / f"labels{LABEL_FORMATS[form].suffix}"


def reading(path: Path, labels: VideoLabels, form: str | None = None) -> VideoLabels:
    return read_labels(path, size=labels.size, num_frames=labels.num_frames, form=form)


def test_every_format_is_tested() -> None:
    assert set(HELD) == set(LOST_FACTS) == set(LABEL_FORMATS)


@pytest.mark.parametrize(("form", "kinds"), CASES)
def test_what_is_written_reads_back_the_same(
    form: str, kinds: tuple[Kind, ...], tmp_path: Path, plain: VideoLabels, assert_same: Same
) -> None:
    labels = plain.of_kinds(kinds)
    path = place(tmp_path, form)
    with warnings.catch_warnings():
        if form != "deeplabcut":
            warnings.simplefilter("error", LabelWarning)
        options = {"multi_animal": True} if form == "deeplabcut" else {}
        write_labels(path, labels, form, **options)
    assert detect_format(path) == form
    found = reading(path, labels)
    assert_same(found, labels)
    write_labels(tmp_path / "again" / path.name, found, form, **options)
    if path.is_file() and form != "sleap":
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("form", FORMS)
def test_side_facts_are_held_or_announced(form: str, tmp_path: Path, rich: VideoLabels, assert_same: Same) -> None:
    labels = rich.of_kinds(HELD[form])
    path = place(tmp_path, form)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", LabelWarning)
        write_labels(path, labels, form)
    messages = [str(each.message) for each in caught if issubclass(each.category, LabelWarning)]
    if LOST_FACTS[form]:
        assert len(messages) == 1
        announced = messages[0].split("does not hold ")[1].removesuffix("; left out")
        assert set(announced.split(", ")) == LOST_FACTS[form]
        return
    assert not messages
    assert_same(reading(path, labels), labels)


@pytest.mark.parametrize("form", [form for form in FORMS if HELD[form] != KINDS])
def test_kinds_that_a_format_does_not_hold_are_refused(form: str, tmp_path: Path, plain: VideoLabels) -> None:
    with pytest.raises(LabelError, match=r"holds .* but object .* is labeled as"):
        write_labels(place(tmp_path, form), plain, form)
    assert not place(tmp_path, form).exists()


@pytest.mark.parametrize("form", FORMS)
def test_times_come_from_the_video(form: str, tmp_path: Path, plain: VideoLabels) -> None:
    labels = plain.of_kinds(HELD[form])
    path = place(tmp_path, form)
    write_labels(path, labels, form)
    times = [0.5 + index for index in range(8)]
    found = read_labels(path, size=labels.size, num_frames=8, pts_seconds=times)
    assert [frame.pts_seconds for frame in found.frames.values()] == [0.5, 1.5, 2.5, 5.5]


def first_file(path: Path) -> Path:
    return min(path.iterdir()) if path.is_dir() else path


def one_line(error: LabelError, path: Path) -> None:
    text = str(error)
    assert text.startswith(str(path)), text
    assert "\n" not in text
    assert text.count(str(path.parent)) == 1, text
    assert len(text) > len(str(path)) + 10


@pytest.fixture
def written(tmp_path: Path, plain: VideoLabels) -> Callable[[str], Path]:
    def write(form: str) -> Path:
        path = place(tmp_path, form)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LabelWarning)
            write_labels(path, plain.of_kinds(HELD[form]), form)
        return path

    return write


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("fault", ["missing", "empty", "other type", "blank"])
def test_unreadable_files(form: str, fault: str, written: Callable[[str], Path], plain: VideoLabels) -> None:
    path = written(form)
    file = first_file(path)
    if fault == "missing":
        file.unlink()
        if path.is_dir():
            for each in path.iterdir():
                each.unlink()
    else:
        file.write_bytes({"empty": b"", "other type": b"\x00\xffRIFF\x80\x00nothing", "blank": b" \n"}[fault])
    with pytest.raises(LabelError) as caught:
        reading(path, plain, form)
    one_line(caught.value, path)


@pytest.mark.parametrize("form", [form for form in FORMS if form not in ("deeplabcut", "sleap", "points_csv")])
def test_labels_of_another_video(form: str, written: Callable[[str], Path]) -> None:
    path = written(form)
    with pytest.raises(LabelError, match=r"60 x 40.* 61 x 41|61 x 41.* 60 x 40") as caught:
        read_labels(path, size=(41, 61), num_frames=8)
    one_line(caught.value, path)


@pytest.mark.parametrize("form", FORMS)
def test_frames_past_the_end(form: str, written: Callable[[str], Path], plain: VideoLabels) -> None:
    path = written(form)
    with pytest.raises(LabelError, match=r"frame [25] is past the end; the video has [25] frames") as caught:
        read_labels(path, size=plain.size, num_frames=2)
    one_line(caught.value, path)
    with pytest.raises(LabelError, match=r"frame 5 is past the end"):
        read_labels(path, size=plain.size, num_frames=5)


@pytest.mark.parametrize("form", FORMS)
def test_damaged_files_read_or_raise_one_line(form: str, written: Callable[[str], Path], plain: VideoLabels) -> None:
    path = written(form)
    file = first_file(path)
    data = file.read_bytes()
    dice = random.Random(7)
    rounds = 6 if form == "sleap" else 60
    damaged = [data[: len(data) * part // 10] for part in (1, 5, 9)]
    for _ in range(rounds):
        broken = bytearray(data)
        for _ in range(dice.choice([1, 3])):
            at = dice.randrange(len(broken))
            broken[at] = dice.choice([ord("9"), ord("-"), ord("e"), 0, 255, dice.randrange(256)])
        damaged.append(bytes(broken))
    refused = 0
    for content in damaged:
        file.write_bytes(content)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                reading(path, plain, form)
        except LabelError as error:
            one_line(error, path)
            refused += 1
    assert refused >= 3


def nodes(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where each value of a JSON tree stands."""
    yield path
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in below:
        if key != "rle":
            yield from nodes(each, (*path, key))


@pytest.mark.parametrize("form", ["coco", "label_studio"])
def test_json_with_wrong_values_reads_or_raises_one_line(form: str, tmp_path: Path, rich: VideoLabels) -> None:
    path = place(tmp_path, form)
    write_labels(path, rich, form)
    text = path.read_text()
    places = [each for each in nodes(json.loads(text)) if each]
    dice = random.Random(5)
    refused = 0
    for _ in range(150):
        value = json.loads(text)
        *above, last = dice.choice(places)
        target = value
        for key in above:
            target = target[key]
        target[last] = dice.choice([None, 0, -1, 10**25, 1e308, "x", "", [], {}, True, [[]], [1, 2], 0.5])
        path.write_text(json.dumps(value))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                reading(path, rich, form)
        except LabelError as error:
            one_line(error, path)
            refused += 1
    assert refused > 50


def test_large_ids_and_far_frames(tmp_path: Path, assert_same: Same) -> None:
    mask = np.zeros((5, 7), dtype=np.uint16)
    mask[1, 2], mask[3:, 4:] = 300, 65535
    objects = (LabelObject(300, "object 300", "mask"), LabelObject(65535, "object 65535", "mask"))
    labels = VideoLabels((5, 7), None, objects, {123456: FrameLabels(mask=mask)})
    for form in ("indexed_png", "coco", "cvat", "label_studio"):
        path = place(tmp_path / form, form)
        write_labels(path, labels, form)
        assert_same(read_labels(path, size=(5, 7)), labels)


def test_detection_says_how_to_choose(tmp_path: Path, plain: VideoLabels) -> None:
    write_labels(tmp_path / "both", plain.of_kinds(["mask"]), "indexed_png")
    write_labels(tmp_path / "both" / "a.json", plain, "coco")
    with pytest.raises(LabelError, match=r"PNG files and a.json; choose the masks with the format 'indexed_png'"):
        read_labels(tmp_path / "both", size=plain.size)
    assert read_labels(tmp_path / "both", size=plain.size, form="indexed_png").kinds() == {"mask"}
    write_labels(tmp_path / "two" / "a.json", plain, "coco")
    write_labels(tmp_path / "two" / "b.xml", plain, "cvat")
    with pytest.raises(LabelError, match=r"give the path of a.json or b.xml"):
        read_labels(tmp_path / "two", size=plain.size)
    with pytest.raises(LabelError, match=r"no such file or folder"):
        read_labels(tmp_path / "nothing", size=plain.size)
    for name, text, said in [
        ("a.txt", "x", "no label format has files that end in '.txt'"),
        ("b.json", '{"version": 1}', "neither COCO .* nor a Label Studio"),
        ("c.csv", "a,b\n1,2", "neither a DeepLabCut table .* nor a table of points"),
    ]:
        (tmp_path / name).write_text(text)
        with pytest.raises(LabelError, match=said):
            read_labels(tmp_path / name, size=plain.size)
    with pytest.raises(
        LabelError, match=r"'keyframes_only' is no option of this format; options are \['first_number'\]"
    ):
        read_labels(tmp_path / "two" / "a.json", size=plain.size, keyframes_only=True)
    with pytest.raises(LabelError, match=r"'coca' is no label format; formats are"):
        write_labels(tmp_path / "x", plain, "coca")
