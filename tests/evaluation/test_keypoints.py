from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from mmssl.config import build, check
from mmssl.data.keypoints import Keypoints, write_keypoints
from mmssl.data.manifest import Manifest, ManifestRow
from mmssl.errors import EvaluationError
from mmssl.evaluation import EVALUATION_CHOICE
from mmssl.evaluation.keypoint_scores import METRICS
from mmssl.evaluation.keypoints import keypoints, start_points
from mmssl.evaluation.subject import Subject
from mmssl.media.image import write_index_png, write_png
from mmssl.models.loading import load_encoder

NUM_FRAMES = 6
NAN = torch.nan


def write_video(root: Path, name: str, *, frames: tuple[int, ...] = (1, 3, 4), late: int | None = None) -> Keypoints:
    """A textured square that moves right by 6 pixels a frame; three joints on it; its masks."""
    generator = torch.Generator().manual_seed(len(name))
    ground = torch.randint(0, 90, (3, 64, 96), generator=generator).to(torch.uint8)
    shape = torch.randint(150, 256, (3, 32, 32), generator=generator).to(torch.uint8)
    for folder in (root / name, root / "masks" / name):
        folder.mkdir(parents=True)
    places = {}
    for frame in range(NUM_FRAMES):
        picture, mask = ground.clone(), torch.zeros(64, 96, dtype=torch.uint8)
        picture[:, 16:48, 6 * frame : 6 * frame + 32] = shape
        mask[16:48, 6 * frame : 6 * frame + 32] = 1
        write_png(root / name / f"{frame:05}.png", picture)
        write_index_png(root / "masks" / name / f"{frame:05}.png", mask)
        if frame in frames:
            places[frame] = torch.tensor([[6.0, 22.0], [26.0, 26.0], [15.0, 40.0]]) + torch.tensor([6.0 * frame, 0.0])
            if late is not None and frame < late:
                places[frame][2] = NAN
    given = Keypoints(("a", "b", "c"), places)
    write_keypoints(root / f"{name}.json", given)
    return given


def row(name: str, **changes: object) -> ManifestRow:
    extra = {"keypoints": f"{name}.json", "masks": f"masks/{name}"}
    values = {"id": name, "uri": name, "media_type": "video", "split": "val", "extra": extra}
    return ManifestRow(**{**values, **changes})  # type: ignore[arg-type]


def subject(root: Path, *rows: ManifestRow) -> Subject:
    return Subject(load_encoder("lab:stride=4"), "toy", Manifest(root / "manifest.jsonl", rows), name="lab")


def values(rows: list, encoder: str) -> dict[str, float | None]:
    return {item.metric: item.value for item in rows if item.encoder == encoder}


def test_scores_beside_the_identity(tmp_path: Path) -> None:
    write_video(tmp_path, "v")
    write_video(tmp_path, "plain")
    plain = row("plain", extra={"keypoints": "plain.json"})
    rows = keypoints(subject(tmp_path, row("v"), plain), short_side=128, temperature=0.02)
    assert rows[0].metric == METRICS[0]
    scores, identity = values(rows, "lab"), values(rows, "identity")
    assert set(scores) == set(identity) == set(METRICS)
    assert scores["pck@0.2"] > 0.9
    assert scores["delta_avg"] > 0.6
    assert rows[0].num_items == 12
    assert rows[0].detail["failed"] == {}
    # The square moved 12 and 18 pixels; boxes are 20 x 18, masks 32 x 32: 0.2 of the root of their area is 6.4.
    assert (identity["pck@0.2"], identity["pck_crw@0.2"], identity["pck_badja@0.2"]) == (0, 0, 0)
    # At 256 x 256 the distances are 32 and 48 pixels, too far for all thresholds.
    assert identity["delta_avg"] == 0
    (badja,) = [item for item in rows if item.encoder == "lab" and item.metric == "pck_badja@0.2"]
    assert badja.detail["sequences"]["plain"] is None
    assert badja.value == badja.detail["sequences"]["v"]


def test_points_by_pixels_are_nearer(tmp_path: Path) -> None:
    """The square moves by whole pixels, a fraction of a cell of 16; its joints are followed with it."""
    write_video(tmp_path, "v")
    given = Subject(
        load_encoder("lab:stride=16"), "toy", Manifest(tmp_path / "manifest.jsonl", (row("v"),)), name="lab"
    )
    by_features, by_pixels, rigid = (
        values(keypoints(given, short_side=64, points=rule), "lab")["delta_avg"]
        for rule in ("features", "pixels", "rigid")
    )
    assert by_features is not None
    assert by_pixels is not None
    assert by_pixels > by_features
    assert rigid is not None


def test_square_and_presets(tmp_path: Path) -> None:
    write_video(tmp_path, "v")
    spec = {"name": "keypoints", "preset": "crw", "short_side": 96, "square": True, "temperature": 0.02}
    assert not check(spec, EVALUATION_CHOICE)
    rows = build(spec, EVALUATION_CHOICE, subject=subject(tmp_path, row("v")))
    assert "squashed" in rows[0].protocol
    assert values(rows, "lab")["pck@0.2"] >= 0.5


def test_start_points() -> None:
    frames = {2: torch.tensor([[1.0, 1.0], [NAN, NAN]]), 0: torch.full((2, 2), NAN), 5: torch.ones(2, 2)}
    given = Keypoints(("a", "b"), frames)
    assert list(start_points(given, each=False)) == [2]
    each = start_points(given, each=True)
    assert list(each) == [2, 5]
    assert_close(each[5], torch.tensor([[NAN, NAN], [1.0, 1.0]]), equal_nan=True)


def test_points_that_start_later(tmp_path: Path) -> None:
    write_video(tmp_path, "v", frames=(0, 2, 4, 5), late=2)
    settings = {"short_side": 128, "temperature": 0.02}
    first = keypoints(subject(tmp_path, row("v")), **settings)
    each = keypoints(subject(tmp_path, row("v")), queries="each", **settings)
    assert (first[0].num_items, each[0].num_items) == (6, 8)
    assert values(each, "lab")["pck@0.2"] > 0.9


def test_failing_videos_are_named_and_the_rest_is_scored(tmp_path: Path) -> None:
    write_video(tmp_path, "good")
    write_video(tmp_path, "single", frames=(2,))
    write_video(tmp_path, "torn")
    (tmp_path / "torn.json").write_text("{")
    given = write_video(tmp_path, "long")
    write_keypoints(tmp_path / "long.json", Keypoints(given.names, {**given.frames, 99: given.frames[1]}))
    rows = keypoints(
        subject(
            tmp_path, *(row(name) for name in ("good", "single", "torn", "long", "missing")), row("cut", start=0.1)
        ),
        short_side=64,
    )
    failed = rows[0].detail["failed"]
    assert set(failed) == {"single", "torn", "long", "missing", "cut"}
    assert "two frames" in failed["single"]
    assert "frame 99 of 6" in failed["long"]
    assert list(rows[0].detail["sequences"]) == ["good"]


def test_all_failed_gives_no_value(tmp_path: Path) -> None:
    assert {item.value for item in keypoints(subject(tmp_path, row("missing")), short_side=64)} == {None}


def test_needs_keypoints(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no row has `keypoints`"):
        keypoints(subject(tmp_path, row("v", extra={})))
