"""What a person can get wrong is one clear line and exit 2, through the command itself."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mmssl.cli.app import app
from mmssl.media.image import write_index_png, write_png
from mmssl.propagation.exchange import read_labels

SIZE = (48, 80)


def a_mask(size: tuple[int, int] = SIZE, *, value: int = 1) -> torch.Tensor:
    mask = torch.zeros(size, dtype=torch.uint8)
    mask[10:20, 10:30] = value
    return mask


def index_png(mask: torch.Tensor) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        write_index_png(folder / "labels.png", mask)
        return folder / "labels.png"

    return write


def text(name: str, content: str | bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return folder / name

    return write


def frame_nine(folder: Path) -> Path:
    (folder / "masks").mkdir()
    for name in ("00000.png", "00009.png"):
        write_index_png(folder / "masks" / name, a_mask())
    return folder / "masks"


UNKNOWN_CATEGORY = json.dumps(
    {
        "images": [{"id": 1, "file_name": "00000.png", "width": 80, "height": 48}],
        "categories": [{"id": 1, "name": "a"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 7, "bbox": [1, 1, 9, 9], "area": 81, "iscrowd": 0},
        ],
    }
)

LABELS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "another size": (index_png(a_mask((40, 80))), "80 x 40 pixels, the video 80 x 48"),
    "empty mask": (index_png(a_mask(value=0)), "labels are empty"),
    "empty file": (text("points.csv", ""), "the file is empty"),
    "no such object": (text("coco.json", UNKNOWN_CATEGORY), "unknown category 7"),
    "mask past the end": (frame_nine, "frame 9 is past the end; the video has 3 frames, numbered 0 to 2"),
    "point past the end": (text("points.csv", "frame,object,point,x,y\n99,a,p,4,3\n"), "frame 99 is past the end"),
    "negative frame": (text("points.csv", "frame,object,point,x,y\n-1,a,p,4,3\n"), "-1"),
    "NaN": (text("points.csv", "frame,object,point,x,y\n0,a,p,nan,3\n"), "line 2: x is 'nan'"),
    "infinite": (text("points.csv", "frame,object,point,x,y\n0,a,p,4,inf\n"), "line 2: y is 'inf'"),
    "cut JSON": (text("coco.json", '{"images": ['), "is not JSON, or cut short"),
    "cut XML": (text("cvat.xml", "<annotations><track>"), "is not XML, or cut short"),
    "cut PNG": (text("labels.png", b"\x89PNG\r\n"), "is not a PNG, or cut short"),
    "cut SLEAP": (text("labels.slp", b"not hdf5"), "sleap-io cannot read it"),
    "no file": (lambda folder: folder / "none.png", "no such file"),
}


@pytest.fixture
def propagate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs the command on three frames; gives the one line that it says, after it ended with 2 and wrote nothing."""
    (tmp_path / "frames").mkdir()
    for index in range(3):
        write_png(tmp_path / "frames" / f"{index:05}.png", torch.full((3, *SIZE), 60 * index, dtype=torch.uint8))

    def run(labels: Path, *options: str) -> str:
        out = tmp_path / "out"
        with pytest.raises(SystemExit) as ended:
            app(["propagate", str(tmp_path / "frames"), "--labels", str(labels), "-o", str(out), *options])
        said = capsys.readouterr()
        assert ended.value.code == 2
        assert said.out == ""
        assert said.err.count("\n") == 1
        assert said.err.startswith("error: ")
        assert " at 0x" not in said.err
        assert not out.exists()
        return said.err

    return run


@pytest.mark.parametrize("case", LABELS)
def test_labels(case: str, propagate: Callable[..., str], tmp_path: Path) -> None:
    write, message = LABELS[case]
    labels = write(tmp_path)
    said = propagate(labels)
    assert message in said
    assert labels.name in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--frame", "99"), "frame 99 is past the end; the video has 3 frames"),
        (("--frame", "-1"), "frames count from 0"),
        (("--preset", "dinoo"), "'dinoo' is no preset; presets are"),
        (("--save-as", "davis"), "'davis' is no format to save as"),
        (("--save-as", "sleap"), "sleap holds keypoints and point"),
        (("--labels-format", "coco"), "is not UTF-8 text"),
        (("--encoder", "nothing"), "nothing: no such encoder"),
        (("--features", "/proc/nothing"), "/proc/nothing: cannot hold features"),
    ],
)
def test_options(options: tuple[str, ...], message: str, propagate: Callable[..., str], tmp_path: Path) -> None:
    assert message in propagate(index_png(a_mask())(tmp_path), *options)


def test_the_same_labels_without_the_fault_are_read(tmp_path: Path) -> None:
    assert read_labels(index_png(a_mask())(tmp_path), size=SIZE, num_frames=3).frames.keys() == {0}
