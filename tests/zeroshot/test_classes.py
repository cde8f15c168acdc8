from pathlib import Path

import numpy as np
import pytest

from mmssl.errors import ConfigError
from mmssl.zeroshot.classes import ClassList, ClassName, read_classes


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_text_file(tmp_path: Path) -> None:
    classes = read_classes(write(tmp_path / "a.txt", "\ufeff# pets\ncat\n\n golden_retriever \n"))
    assert classes.names == ("cat", "golden_retriever")
    assert classes.leaves[1].words == ("golden retriever",)
    assert classes.numbers["golden retriever"] == classes.numbers["golden_retriever"] == 1
    assert classes.groups == ()


def test_a_table_with_synonyms_parents_and_prompts(tmp_path: Path) -> None:
    text = 'name,synonyms,parent,prompt\ncat,kitty|house cat,animal,\ncar,,,"a parked car|the {} on a road"\ndog,,animal,\n'
    classes = read_classes(write(tmp_path / "a.csv", text))
    assert classes.names == ("cat", "car", "dog")
    assert classes.leaves[0].words == ("cat", "kitty", "house cat")
    assert classes.leaves[1].prompts == ("a parked car", "the {} on a road")
    assert classes.groups == ("animal",)
    assert classes.rolled_up(np.array([[0.2, 0.5, 0.3]])) == pytest.approx(np.array([[0.5]]))


def test_leaves_roll_up_through_several_levels() -> None:
    entries = [
        ("dog", "animal"),
        ("terrier", "dog"),
        ("poodle", "dog"),
        ("cat", "animal"),
        ("car", None),
        ("bus", "vehicle"),
    ]
    classes = ClassList(tuple(ClassName(name, parent=parent) for name, parent in entries))
    assert classes.names == ("terrier", "poodle", "cat", "car", "bus"), "a class that is a parent is a group"
    assert classes.groups == ("animal", "vehicle")
    sums = classes.rolled_up(np.array([[0.1, 0.2, 0.3, 0.15, 0.25]]))
    assert sums == pytest.approx(np.array([[0.6, 0.25]]))


def test_names_of_folders(tmp_path: Path) -> None:
    for name in ("b", "a_c", ".hidden"):
        (tmp_path / name).mkdir()
    assert read_classes(tmp_path).names == ("a_c", "b")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "", "there is no class"),
        ("a.txt", "# only this\n", "there is no class"),
        ("a.txt", "cat\ncat\n", "'cat'"),
        ("a.csv", "name\n", "there is no class"),
        ("a.csv", "title,parent\ncat,\n", "has name, and perhaps"),
        ("a.csv", "name,parent\n,animal\n", r"a.csv:2: has no name"),
        ("a.csv", "name,parent\ncat,animal,x\n", r"a.csv:2: holds more cells"),
        ("a.csv", "name,parent\na,b\nb,a\n", "circle"),
    ],
)
def test_bad_classes_are_refused_and_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        read_classes(write(tmp_path / name, text))
    assert str(raised.value).startswith(str(tmp_path / name))


def test_a_missing_file_and_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_classes(tmp_path / "none.txt")
    with pytest.raises(ConfigError, match="holds no folder"):
        read_classes(tmp_path)
