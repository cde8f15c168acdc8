"""Index masks as data sets and tools write them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmssl.errors import LabelError
from mmssl.propagation.exchange import indexed_png, read_labels
from mmssl.propagation.video_labels import FrameLabels, LabelObject, LabelWarning, VideoLabels

SIZE = (4, 6)
VALUES = np.zeros(SIZE, dtype=np.uint8)
VALUES[1, 2:4] = 3


def save(path: Path, values: np.ndarray = VALUES, mode: str | None = None) -> Path:
    image = Image.fromarray(values)
    (image if mode is None else image.convert(mode)).save(path)
    return path


def test_one_file_is_one_frame(tmp_path: Path) -> None:
    path = save(tmp_path / "mask.png")
    labels = read_labels(path, size=SIZE)
    assert labels.objects == (LabelObject(3, "object 3", "mask"),)
    np.testing.assert_array_equal(labels.frames[0].mask, VALUES)
    assert list(read_labels(path, size=SIZE, frame=9).frames) == [9]
    indexed_png.write(tmp_path / "again.png", labels)
    with Image.open(tmp_path / "again.png") as image:
        assert image.mode == "P"
        assert image.getpalette()[:12] == [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]


def test_zero_and_255_are_one_object(tmp_path: Path) -> None:
    for index, mode in enumerate(["L", "1", "P"]):
        save(tmp_path / f"{index:05d}.png", (VALUES > 0) * np.uint8(255), mode)
    labels = read_labels(tmp_path, size=SIZE)
    assert labels.objects == (LabelObject(1, "object 1", "mask"),)
    for frame in labels.frames.values():
        np.testing.assert_array_equal(frame.mask, VALUES > 0)
    save(tmp_path / "00003.png")
    assert [each.id for each in read_labels(tmp_path, size=SIZE).objects] == [3, 255]


def test_numbers_in_names_are_frames(tmp_path: Path) -> None:
    save(tmp_path / "clip2_frame_0010.png")
    save(tmp_path / "clip2_frame_0012.png", VALUES * 0)
    labels = read_labels(tmp_path, size=SIZE, first_number=10)
    assert list(labels.frames) == [0, 2]
    indexed_png.write(tmp_path / "out", labels, first_number=1)
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == ["00001.png", "00003.png"]


def test_colors_are_the_objects_own(tmp_path: Path) -> None:
    labels = VideoLabels(
        SIZE, None, (LabelObject(3, "object 3", "mask", color=(1, 2, 3)),), {0: FrameLabels(mask=VALUES)}
    )
    indexed_png.write(tmp_path / "a.png", labels)
    assert read_labels(tmp_path / "a.png", size=SIZE).objects == labels.objects


def test_bad_masks(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    save(path, np.zeros((*SIZE, 3), dtype=np.uint8))
    with pytest.raises(LabelError, match=r"mask.png: is a color picture \(RGB\)"):
        read_labels(path, size=SIZE)
    save(path)
    with pytest.raises(LabelError, match=r"mask.png: the mask has 6 x 4 pixels, the video 6 x 5"):
        read_labels(path, size=(5, 6))
    with pytest.raises(LabelError, match=r"frame 9 is past the end; the video has 9 frames"):
        read_labels(path, size=SIZE, num_frames=9, frame=9)
    save(path, VALUES * 0)
    with pytest.raises(LabelError, match=r"mask.png: the labels are empty"):
        read_labels(path, size=SIZE)
    with pytest.raises(LabelError, match=r"the image name 'mask.png' holds no frame number"):
        read_labels(tmp_path, size=SIZE)
    path.unlink()
    save(tmp_path / "a1.png")
    save(tmp_path / "b01.png")
    with pytest.raises(LabelError, match=r"a1.png and b01.png are both frame 1"):
        read_labels(tmp_path, size=SIZE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(LabelError, match=r"the folder holds no .png mask"):
        read_labels(tmp_path / "empty", size=SIZE)
    two = VideoLabels(SIZE, None, (LabelObject(3, "a", "mask"),), dict.fromkeys((0, 1), FrameLabels(mask=VALUES)))
    with pytest.raises(LabelError, match=r"one file holds one frame, and 2 are labeled; give a folder"):
        indexed_png.write(tmp_path / "one.png", two)


def test_a_soft_mask_is_announced(tmp_path: Path) -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    save(tmp_path / "a.png", ramp)
    with pytest.warns(LabelWarning, match=r"holds 255 objects, as many as gray values; if this is a soft mask"):
        read_labels(tmp_path / "a.png", size=(16, 16))


@pytest.mark.data
def test_davis(real_data: Path) -> None:
    (folder,) = (real_data / "davis/Annotations").rglob("camel")
    labels = read_labels(folder, size=(480, 854), num_frames=90)
    assert labels.objects == (LabelObject(1, "object 1", "mask"),)
    assert len(labels.frames) == 90
    with Image.open(folder / "00007.png") as image:
        np.testing.assert_array_equal(labels.frames[7].mask, np.asarray(image) != 0)
