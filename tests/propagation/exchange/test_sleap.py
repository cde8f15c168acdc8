"""SLEAP files as sleap-io makes them, and a real one."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sleap_io

from mmssl.errors import LabelError
from mmssl.propagation.exchange import read_labels, sleap, write_labels
from mmssl.propagation.video_labels import LabelWarning, VideoLabels

SIZE = (30, 40)
XY = np.array([[1.0, 2.0], [3.0, 4.0]])


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Writes instances by frame; each is (track name or None, shift of its points, score or None for a person's)."""

    def call(frames: dict[int, list[tuple[str | None, float, float | None]]], *, num_videos: int = 1) -> Path:
        skeleton = sleap_io.Skeleton(nodes=["head", "tail"], edges=[(0, 1)])
        films = [sleap_io.Video(filename=f"{at}.mp4", open_backend=False) for at in range(num_videos)]
        tracks: dict[str, sleap_io.Track] = {}
        found = []
        for index, instances in frames.items():
            made = []
            for name, shift, score in instances:
                track = None if name is None else tracks.setdefault(name, sleap_io.Track(name=name))
                facts = {"skeleton": skeleton, "track": track}
                if score is None:
                    made.append(sleap_io.Instance.from_numpy(XY + shift, **facts))
                else:
                    scores = np.array([score, 0.5])
                    made.append(
                        sleap_io.PredictedInstance.from_numpy(XY + shift, point_scores=scores, score=score, **facts)
                    )
            found.append(sleap_io.LabeledFrame(video=films[index % num_videos], frame_idx=index, instances=made))
        path = tmp_path / "a.slp"
        content = sleap_io.Labels(found, videos=films, skeletons=[skeleton], tracks=list(tracks.values()))
        sleap_io.save_slp(content, str(path), embed=False, verbose=False)
        return path

    return call


def test_tracks_predictions_and_corrections(save: Callable[..., Path]) -> None:
    path = save({0: [("a", 0, 0.75), ("b", 10, None)], 4: [("a", 1, 0.5), ("a", 2, None)]})
    labels = sleap.read(path, size=SIZE, num_frames=5)
    a, b = labels.objects
    assert (a.name, b.name, a.keypoint_names, a.skeleton) == ("a", "b", ("head", "tail"), ((0, 1),))
    np.testing.assert_array_equal(labels.frames[0].keypoints[a.id], XY + 0.5)
    np.testing.assert_array_equal(labels.frames[0].keypoints[b.id], XY + 10.5)
    np.testing.assert_array_equal(labels.frames[4].keypoints[a.id], XY + 2.5)
    assert labels.frames[0].confidences == {a.id: 0.75}
    np.testing.assert_array_equal(labels.frames[0].keypoint_confidences[a.id], [0.75, 0.5])
    assert not labels.frames[4].confidences


def test_instances_without_a_track(save: Callable[..., Path]) -> None:
    labels = sleap.read(save({0: [(None, 0, None)], 1: [(None, 1, None)]}), size=SIZE)
    assert [each.name for each in labels.objects] == ["untracked"]
    labels = sleap.read(save({3: [(None, 0, None), (None, 1, None)]}), size=SIZE)
    assert [each.name for each in labels.objects] == ["instance 1", "instance 2"]
    with pytest.raises(LabelError, match=r"frame 3 has several instances without a track; give them tracks"):
        sleap.read(save({3: [(None, 0, None), (None, 1, None)], 4: [(None, 0, None)]}), size=SIZE)


def test_confidences_come_back(tmp_path: Path, rich: VideoLabels) -> None:
    labels = rich.of_kinds(["keypoints", "point"])
    with pytest.warns(LabelWarning, match=r"SLEAP does not hold"):
        sleap.write(tmp_path / "a.slp", labels)
    found = sleap.read(tmp_path / "a.slp", size=labels.size, num_frames=8)
    ids = {each.name: each.id for each in found.objects}
    for index, frame in found.frames.items():
        expected = labels.frames[index]
        np.testing.assert_allclose(frame.keypoint_confidences[ids["flý"]], expected.keypoint_confidences[5], atol=1e-6)
        assert frame.confidences == {ids["flý"]: 0.75, ids["tip, of it"]: 1.0}
        assert ids["tip, of it"] not in frame.keypoint_confidences


def test_bad_files(save: Callable[..., Path], tmp_path: Path, plain: VideoLabels) -> None:
    with pytest.raises(LabelError, match=r"labels 2 videos; save the labels of one video"):
        sleap.read(save({0: [("a", 0, None)], 1: [("a", 0, None)]}, num_videos=2), size=SIZE)
    with pytest.raises(LabelError, match=r"a.slp: frame 7 is past the end"):
        sleap.read(save({7: [("a", 0, None)]}), size=SIZE, num_frames=7)
    with pytest.raises(LabelError, match=r"must end in .slp"):
        sleap.write(tmp_path / "a.h5", plain.of_kinds(["point"]))
    (tmp_path / "b.slp").write_bytes(save({7: [("a", 0, None)]}).read_bytes()[:4000])
    with pytest.raises(LabelError, match=r"b.slp: sleap-io cannot read it: "):
        sleap.read(tmp_path / "b.slp", size=SIZE)


def test_without_sleap_io(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, plain: VideoLabels) -> None:
    monkeypatch.setitem(sys.modules, "sleap_io", None)
    said = ".slp files need sleap-io, which is not installed: pip install sleap-io"
    with pytest.raises(LabelError, match=said):
        sleap.read(tmp_path / "a.slp", size=SIZE)
    with pytest.raises(LabelError, match=said):
        sleap.write(tmp_path / "a.slp", plain.of_kinds(["point"]))


@pytest.mark.data
def test_two_flies_go_through_every_format(real_data: Path, tmp_path: Path, assert_same: Callable[..., None]) -> None:
    clip = real_data / "sleap/clip.slp"
    labels = sleap.read(clip, size=(1024, 1024), num_frames=1500)
    assert [(each.id, each.name, each.num_points) for each in labels.objects] == [(1, "female", 13), (2, "male", 13)]
    assert len(labels.objects[0].skeleton) == 12
    assert len(labels.frames) == 1500
    np.testing.assert_array_equal(labels.frames[0].keypoints[2][0], [335.75, 445.25])
    few = VideoLabels(labels.size, 1500, labels.objects, {index: labels.frames[index] for index in range(0, 1500, 25)})
    for form, name in (("coco", "a.json"), ("cvat", "a.xml"), ("label_studio", "b.json"), ("sleap", "a.slp")):
        write_labels(tmp_path / name, few, form)
    for name in ("a.json", "a.xml", "b.json", "a.slp"):
        assert_same(read_labels(tmp_path / name, size=labels.size, num_frames=1500), few)
