"""The classes that are written for a set of clips, and the labels of these."""

from pathlib import Path

from mmssl.data.manifest import read_manifest
from mmssl.zeroshot.classes import read_classes
from tests.datasets.test_datasets import run


def test_each_clip_shows_one_of_the_classes(tmp_path: Path) -> None:
    (tmp_path / "sam2__01_dog.mp4").touch()
    (tmp_path / "moviepy__chaplin.mp4").touch()
    (tmp_path / "unknown.mp4").touch()
    done = run("shown_videos", tmp_path, "-o", tmp_path / "out" / "videos.jsonl", "--classes", tmp_path / "classes.csv")
    assert done.returncode == 0, done.stderr
    labels = {Path(row.uri).name: row.label for row in read_manifest(tmp_path / "out" / "videos.jsonl").rows}
    assert labels == {"sam2__01_dog.mp4": "dog", "moviepy__chaplin.mp4": "silent film"}
    classes = read_classes(tmp_path / "classes.csv")
    assert len(classes.names) == 25
    assert set(labels.values()) <= set(classes.names)
    assert run("shown_videos", tmp_path / "out").returncode != 0
