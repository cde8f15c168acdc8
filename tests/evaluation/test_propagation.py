import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mmssl.config import build, check
from mmssl.data.manifest import Manifest, ManifestRow
from mmssl.errors import EvaluationError
from mmssl.evaluation import EVALUATION_CHOICE
from mmssl.evaluation.propagation import METRICS, propagation
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.segmentation import boundary_accuracy, region_similarity
from mmssl.evaluation.subject import Subject
from mmssl.media.image import read_index_png, write_index_png, write_png
from mmssl.models.loading import load_encoder


def write_video(root: Path, name: str, *, num_frames: int = 6, single: bool = False) -> list[Tensor]:
    """A textured square that moves over a ground of another color, with masks for all but frame 3."""
    generator = torch.Generator().manual_seed(len(name))
    ground = torch.randint(0, 90, (3, 64, 96), generator=generator).to(torch.uint8)
    shape = torch.randint(150, 256, (3, 24, 24), generator=generator).to(torch.uint8)
    for folder in (root / name, root / "masks" / name):
        folder.mkdir(parents=True)
    masks = []
    for frame in range(num_frames):
        picture, mask = ground.clone(), torch.zeros(64, 96, dtype=torch.uint8)
        picture[:, 20:44, 8 * frame : 8 * frame + 24] = shape
        mask[20:44, 8 * frame : 8 * frame + 24] = 255 if single else 2
        write_png(root / name / f"{frame:05}.png", picture)
        if frame != 3:
            write_index_png(root / "masks" / name / f"{frame:05}.png", mask)
        masks.append((mask > 0).to(torch.uint8))
    return masks


def row(name: str, **changes: object) -> ManifestRow:
    values = {"id": name, "uri": name, "media_type": "video", "split": "val", "extra": {"masks": f"masks/{name}"}}
    return ManifestRow(**{**values, **changes})  # type: ignore[arg-type]


def subject(root: Path, *rows: ManifestRow, out: Path | None = None) -> Subject:
    return Subject(load_encoder("lab"), "toy", Manifest(root / "manifest.jsonl", rows), out=out)


def by_metric(rows: list[ReportRow], encoder: str) -> dict[str, ReportRow]:
    return {item.metric: item for item in rows if item.encoder == encoder}


def test_scores_beside_the_identity(tmp_path: Path) -> None:
    write_video(tmp_path, "a")
    truth = write_video(tmp_path, "bb", single=True)
    out = tmp_path / "out"
    rows = propagation(subject(tmp_path, row("a"), row("bb"), out=out), short_side=128)
    assert rows[0].metric == "J&F"
    scores, identity = by_metric(rows, "lab"), by_metric(rows, "identity")
    assert set(scores) == set(identity) == set(METRICS)
    assert scores["J&F"].num_items == 2
    assert scores["J"].value is not None
    assert scores["J"].value > 0.85
    assert scores["J&F"].split == "val"
    assert identity["J"].baseline
    assert not scores["J"].baseline

    known = [region_similarity(truth[0] > 0, truth[frame] > 0) for frame in (1, 2, 4)]
    assert identity["J"].detail["sequences"]["bb"] == pytest.approx(sum(known) / 3)
    assert identity["J"].value == pytest.approx(sum(known) / 3)
    predicted = [read_index_png(out / "bb" / "masks" / f"{frame:05}.png") for frame in (1, 2, 4)]
    pairs = [(mask == 1, truth[frame] > 0) for mask, frame in zip(predicted, (1, 2, 4), strict=True)]
    assert scores["J"].detail["sequences"]["bb"] == pytest.approx(sum(region_similarity(*pair) for pair in pairs) / 3)
    assert scores["F"].detail["sequences"]["bb"] == pytest.approx(sum(boundary_accuracy(*pair) for pair in pairs) / 3)
    assert (out / "a" / "overlay.mp4").is_file()
    json.dumps([item.to_json() for item in rows])


def test_failing_videos_are_named_and_the_rest_is_scored(tmp_path: Path) -> None:
    write_video(tmp_path, "good")
    write_video(tmp_path, "short", num_frames=2)
    write_video(tmp_path, "unlabelled")
    (tmp_path / "masks" / "unlabelled" / "00000.png").unlink()
    rows = propagation(
        subject(
            tmp_path,
            row("good"),
            row("short"),
            row("unlabelled"),
            row("missing"),
            row("cut", start=0.1),
            row("broken", status="rejected", error_type="DecodeError", error_message="torn"),
        ),
        short_side=128,
    )
    failed = rows[0].detail["failed"]
    assert set(failed) == {"short", "unlabelled", "missing", "cut", "broken"}
    assert "torn" in failed["broken"]
    assert list(rows[0].detail["sequences"]) == ["good"]
    assert rows[0].num_items == 1


def test_all_failed_gives_no_value(tmp_path: Path) -> None:
    rows = propagation(subject(tmp_path, row("missing")), short_side=128)
    assert {item.value for item in rows} == {None}


def test_same_rows_again_and_seconds_only_when_asked(tmp_path: Path) -> None:
    write_video(tmp_path, "a")
    first = propagation(subject(tmp_path, row("a"), out=tmp_path / "out"), short_side=128)
    again = propagation(subject(tmp_path, row("a"), out=tmp_path / "out"), short_side=128)
    assert first == again
    timed = propagation(subject(tmp_path, row("a")), short_side=128, report_seconds=True)
    seconds, processor = (item for item in timed if item.metric.endswith("seconds a frame"))
    assert seconds.value > 0
    assert processor.value > 0
    (memory,) = [item for item in timed if item.metric == "peak memory in MiB"]
    assert 10 < memory.value < 1e6
    assert [item for item in timed if item not in (seconds, processor, memory)] == first


def test_needs_masks(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no row has `masks`"):
        propagation(subject(tmp_path, row("a", extra={})))
    with pytest.raises(EvaluationError, match="split 'test'"):
        propagation(subject(tmp_path, row("a")), split="test")
    with pytest.raises(EvaluationError, match="manifest"):
        propagation(Subject(load_encoder("lab"), "toy"))


def test_is_registered(tmp_path: Path) -> None:
    write_video(tmp_path, "a")
    spec = {"name": "propagation", "preset": "crw", "short_side": 128, "temperature": 0.02}
    assert not check(spec, EVALUATION_CHOICE)
    rows = build(spec, EVALUATION_CHOICE, subject=subject(tmp_path, row("a")))
    assert "temperature 0.02" in rows[0].protocol


def test_mean_iou_where_indices_are_classes(tmp_path: Path) -> None:
    write_video(tmp_path, "a")
    rows = propagation(subject(tmp_path, row("a")), short_side=128, classes=20)
    assert len(rows) == 2 * (len(METRICS) + 1)
    scores, identity = by_metric(rows, "lab"), by_metric(rows, "identity")
    assert scores["mIoU"].value > identity["mIoU"].value > 0
    # The background and one class: the square's own IoU over all frames together and that of the rest.
    overlap, square, everything = 24 * (16 + 8 + 0), 3 * 24 * 24, 3 * 64 * 96
    union = 2 * square - overlap
    rest = everything - union
    wanted = (overlap / union + rest / (everything - overlap)) / 2
    assert identity["mIoU"].value == pytest.approx(wanted)
    failed = propagation(subject(tmp_path, row("a")), short_side=128, classes=2)[0].detail["failed"]
    assert "class 2" in failed["a"]
