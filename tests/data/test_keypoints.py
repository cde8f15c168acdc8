import json
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from mmssl.data.keypoints import Keypoints, read_keypoints, write_keypoints
from mmssl.errors import LabelError


def test_round_trip(tmp_path: Path) -> None:
    points = torch.tensor([[1.25, 2.5], [torch.nan, torch.nan], [0.5, 0.5]])
    given = Keypoints(("nose", "tail", "ear"), {7: points, 2: points.flip(0)}, (4, 9, 4))
    write_keypoints(tmp_path / "sub" / "k.json", given)
    got = read_keypoints(tmp_path / "sub" / "k.json")
    assert (got.names, got.instances, list(got.frames)) == (given.names, given.instances, [2, 7])
    assert_close(got.frames[7], points, equal_nan=True)
    assert [group.tolist() for group in got.groups()] == [[0, 2], [1]]
    assert json.loads((tmp_path / "sub" / "k.json").read_text())["frames"]["7"] == [[1.25, 2.5], None, [0.5, 0.5]]


def test_one_instance_where_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "k.json").write_text('{"names": ["a", "b"], "frames": {"0": [[1, 2], null]}}')
    got = read_keypoints(tmp_path / "k.json")
    assert [group.tolist() for group in got.groups()] == [[0, 1]]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"names": ["a"]}',
        '{"names": ["a"], "frames": {"0": [[1, 2], [3, 4]]}}',
        '{"names": ["a"], "frames": {"x": [[1, 2]]}}',
        '{"names": ["a"], "frames": {"0": [[1]]}}',
        '{"names": ["a", "a"], "frames": {}}',
        '{"names": ["a"], "frames": {}, "instances": [1, 2]}',
    ],
)
def test_what_is_no_file_of_keypoints_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "k.json").write_text(text)
    with pytest.raises(LabelError, match=r"k\.json") as raised:
        read_keypoints(tmp_path / "k.json")
    assert "\n" not in str(raised.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="No such file"):
        read_keypoints(tmp_path / "k.json")
