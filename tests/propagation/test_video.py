import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mmssl.errors import CheckpointError, ConfigError, LabelError, MediaError
from mmssl.media.encode import VideoWriter
from mmssl.media.image import read_image, read_index_png, write_index_png
from mmssl.media.video import open_video
from mmssl.models.encoder import Encoder
from mmssl.propagation import frame_writer
from mmssl.propagation.presets import Preset
from mmssl.propagation.video import propagate_video

Squares = tuple[Path, Path, list[Tensor]]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but those that depend on the clock."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if "logs" not in path.parts}


def test_follows_two_objects(squares: Squares, encoder: Encoder, small_preset: Preset, tmp_path: Path) -> None:
    frames, labels, truth = squares
    out = tmp_path / "out"
    result = propagate_video(frames, labels, encoder=encoder, encoder_name="patches", out=out, preset=small_preset)
    assert result.objects == (1, 2)
    assert result.num_frames == 11
    assert result.seconds_per_frame is not None
    for frame, mask in enumerate(truth):
        got = read_index_png(result.mask_file(frame))
        assert (got == mask).float().mean() > 0.95, frame
    assert torch.equal(read_index_png(out / "masks" / "00000.png"), truth[0])

    summary = json.loads((out / "summary.json").read_text())
    assert [item["index"] for item in summary["objects"]] == [1, 2]
    assert summary["objects"][0]["area_first_frame"] == 256
    assert summary["frames"] == 11
    assert summary["encoded_size"] == {"height": 48, "width": 80}
    table = list(csv.DictReader((out / "frames.csv").open()))
    assert float(table[3]["pts_seconds"]) == pytest.approx(3 / 25)
    assert int(table[0]["area_2"]) == 256
    assert len(summary["encoder_digest"]) == 16
    assert summary["labels"] == "first.png"
    assert len(summary["labels_digest"]) == len(summary["video_digest"]) == 16
    assert summary["preset"]["name"] == "small"
    timing = json.loads((out / "logs" / "timing.json").read_text())
    assert timing["frames"] == 11
    assert timing["peak_memory_mib"] > 10
    assert {"cuts", "decode", "encode", "propagate", "write", "results"} <= set(timing["seconds"])
    assert sum(timing["seconds"].values()) <= timing["seconds_in_all"]
    assert str(result.cost).startswith("11 frames in ")
    assert not (out / "state").exists()
    with open_video(out / "overlay.mp4") as overlay:
        assert overlay.num_frames == 11
        assert overlay.size == (48, 80)


@pytest.mark.parametrize("stop_at", [1, 4, 6, 9, 10])
def test_interrupted_work_goes_on_with_the_same_bytes(
    stop_at: int,
    squares: Squares,
    encoder: Encoder,
    small_preset: Preset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frames, labels, _ = squares
    options = {"encoder": encoder, "encoder_name": "patches", "preset": small_preset, "batch_size": 2}
    propagate_video(frames, labels, out=tmp_path / "whole", **options)  # type: ignore[arg-type]

    write = frame_writer.write_mask

    def fail_at(path: Path, mask: Tensor) -> None:
        if path.stem == f"{stop_at:05}":
            path.write_bytes(b"half a pict")
            raise KeyboardInterrupt
        write(path, mask)

    out = tmp_path / "out"
    monkeypatch.setattr(frame_writer, "write_mask", fail_at)
    with pytest.raises(KeyboardInterrupt):
        propagate_video(frames, labels, out=out, **options)  # type: ignore[arg-type]
    assert not (out / "summary.json").exists()
    written: list[str] = []

    def note(path: Path, mask: Tensor) -> None:
        written.append(path.stem)
        write(path, mask)

    monkeypatch.setattr(frame_writer, "write_mask", note)
    propagate_video(frames, labels, out=out, **options)  # type: ignore[arg-type]
    assert contents(out) == contents(tmp_path / "whole")
    if stop_at > 1:
        assert written[0] != "00000"
    written.clear()
    again = propagate_video(frames, labels, out=out, **options)  # type: ignore[arg-type]
    assert again.seconds_per_frame is None
    assert not written


def test_interrupted_with_a_kept_frame(
    squares: Squares, encoder: Encoder, small_preset: Preset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frame 2 stays context to the end, and is neither among the first batch nor among the last frames on the way on."""
    frames, labels, _ = squares
    preset = replace(small_preset, previous_frames=3, previous_step=2, kept_frames=(2,), is_hard=True)
    options = {"encoder": encoder, "encoder_name": "patches", "preset": preset, "batch_size": 2, "overlay": False}
    propagate_video(frames, labels, out=tmp_path / "whole", **options)  # type: ignore[arg-type]
    write = frame_writer.write_mask

    def fail_at_9(path: Path, mask: Tensor) -> None:
        if path.stem == "00009":
            raise KeyboardInterrupt
        write(path, mask)

    monkeypatch.setattr(frame_writer, "write_mask", fail_at_9)
    with pytest.raises(KeyboardInterrupt):
        propagate_video(frames, labels, out=tmp_path / "out", **options)  # type: ignore[arg-type]
    monkeypatch.setattr(frame_writer, "write_mask", write)
    propagate_video(frames, labels, out=tmp_path / "out", **options)  # type: ignore[arg-type]
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_other_labels_start_over(squares: Squares, encoder: Encoder, small_preset: Preset, tmp_path: Path) -> None:
    frames, labels, truth = squares
    options = {"encoder": encoder, "encoder_name": "patches", "preset": small_preset, "out": tmp_path / "out"}
    propagate_video(frames, labels, **options)  # type: ignore[arg-type]
    for last in sorted(frames.iterdir())[8:]:
        last.unlink()
    write_index_png(labels, (truth[0] == 2).to(torch.uint8) * 255)
    result = propagate_video(frames, labels, overlay=False, **options)  # type: ignore[arg-type]
    assert result.objects == (1,)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "frames.csv",
        "logs",
        "masks",
        "objects.csv",
        "review.csv",
        "segments",
        "summary.json",
    ]
    assert len(list((tmp_path / "out" / "masks").iterdir())) == 8
    assert (read_index_png(result.mask_file(7)) == (truth[7] == 2)).float().mean() > 0.97


def test_reads_a_video_file(squares: Squares, encoder: Encoder, small_preset: Preset, tmp_path: Path) -> None:
    frames, labels, truth = squares
    file = tmp_path / "video.mp4"
    with VideoWriter(file, fps=10.0, size=(48, 80)) as writer:
        for picture in sorted(frames.iterdir()):
            writer.write(read_image(picture))
    result = propagate_video(
        file, labels, encoder=encoder, encoder_name="patches", out=tmp_path / "out", preset=small_preset, overlay=False
    )
    assert (read_index_png(result.mask_file(10)) == truth[10]).float().mean() > 0.9
    table = list(csv.DictReader((tmp_path / "out" / "frames.csv").open()))
    with open_video(file) as source:
        assert [float(line["pts_seconds"]) for line in table] == source.pts_seconds.tolist()


def test_names_an_encoder_without_finite_features(
    squares: Squares, encoder: Encoder, small_preset: Preset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, labels, _ = squares
    monkeypatch.setattr(encoder, "features", lambda images: torch.full((len(images), 2, 12, 20), torch.nan))
    with pytest.raises(CheckpointError, match=r"patches: .*not finite"):
        propagate_video(
            frames, labels, encoder=encoder, encoder_name="patches", out=tmp_path / "out", preset=small_preset
        )


def test_one_line_for_bad_input(squares: Squares, encoder: Encoder, small_preset: Preset, tmp_path: Path) -> None:
    frames, labels, _ = squares
    wrong = tmp_path / "wrong.png"
    write_index_png(wrong, torch.ones(10, 10, dtype=torch.uint8))
    shutil.copy(labels, tmp_path / "video.mp4")
    cases = [
        (frames, wrong, small_preset, LabelError, "10 x 10"),
        (tmp_path / "nothing", labels, small_preset, MediaError, "nothing"),
        (frames, labels, "dinoo", ConfigError, "dinoo"),
    ]
    for source, mask, preset, error, message in cases:
        with pytest.raises(error, match=message) as caught:
            propagate_video(source, mask, encoder=encoder, encoder_name="patches", out=tmp_path / "out", preset=preset)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
