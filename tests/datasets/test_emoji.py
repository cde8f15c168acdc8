import json
from pathlib import Path

import numpy as np
from PIL import Image

from tests.datasets.test_datasets import rows_of, run

ENTRIES = [
    {
        "name": "DOG FACE",
        "short_name": "dog",
        "short_names": ["dog", "dog_face"],
        "image": "1.png",
        "category": "Animals",
    },
    {"name": None, "short_name": "red_car", "short_names": ["red_car"], "image": "2.png", "category": "Travel"},
    {"name": "NOT DRAWN", "short_name": "none", "short_names": [], "image": "3.png", "category": "Travel"},
]


def write_package(root: Path, artist: str) -> None:
    folder = root / "img" / artist / "64"
    folder.mkdir(parents=True)
    for image in ("1.png", "2.png"):
        Image.fromarray(np.full((64, 64, 4), 90, np.uint8)).save(folder / image)
    drawn = [{**entry, f"has_img_{artist}": entry["image"] != "3.png"} for entry in ENTRIES]
    (root / "emoji.json").write_text(json.dumps(drawn))


def test_names_are_captions_and_artists_share_splits(tmp_path: Path) -> None:
    write_package(tmp_path / "a", "google")
    write_package(tmp_path / "b", "twitter")
    found = rows_of("emoji", tmp_path / "a", tmp_path / "b", "-o", tmp_path / "data.jsonl")
    assert [row.id for row in found] == ["google/dog", "google/red_car", "twitter/dog", "twitter/red_car"]
    assert [row.caption for row in found[:2]] == ["dog face\ndog", "red car"]
    assert [row.split for row in found[:2]] == [row.split for row in found[2:]]
    assert found[2].extra == {"artist": "twitter", "category": "Animals"}


def test_another_folder_is_refused(tmp_path: Path) -> None:
    done = run("emoji", tmp_path, "-o", tmp_path / "data.jsonl")
    assert done.returncode != 0
    assert "expected the folder of an npm package" in done.stderr
