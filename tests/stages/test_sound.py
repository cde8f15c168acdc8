"""Recordings through the stages of a run."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from mmssl.config import Recipe
from mmssl.data.clip_store import ClipStore
from mmssl.data.manifest import ManifestRow, write_manifest
from mmssl.errors import StageError
from mmssl.evaluation.evaluate import read_rows
from mmssl.report.section import read_section
from mmssl.stages.clips import of_splits, opened_clips
from mmssl.stages.quick import evaluate_manifest, index_folder, search_folder
from mmssl.stages.quick_embed import ClipForm, embed_manifest
from mmssl.stages.run import run

RATE = 8000
SOUND = {"sample_rate": RATE, "window_seconds": 0.25}


def write_recordings(folder: Path, *, count: int = 12) -> Path:
    """Tones of two pitches by three speakers, who differ in how loud they are; every third is held out."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        time = np.arange(RATE // 2) / RATE
        noise = 0.02 * np.random.default_rng(number).normal(size=len(time))
        tone = (0.1 + 0.2 * (number % 3)) * np.sin(2 * np.pi * (500 + 700 * (number % 2)) * time)
        soundfile.write(folder / f"{number}.wav", tone + noise, RATE)
        rows.append(
            ManifestRow(
                id=f"r{number:02}",
                uri=f"{number}.wav",
                media_type="audio",
                label=("low", "high")[number % 2],
                group=f"speaker {number % 3}",
            )
        )
    write_manifest(folder / "manifest.jsonl", rows)
    return folder / "manifest.jsonl"


def test_a_run_goes_on_past_bad_recordings(tmp_path: Path) -> None:
    manifest = write_recordings(tmp_path / "data", count=3)
    soundfile.write(tmp_path / "data" / "1.wav", np.zeros(1), RATE)
    (tmp_path / "data" / "2.wav").write_text("no sound")
    entry = {"stage": "decode", "manifest": str(manifest), "sound": SOUND, "max_reject_fraction": 0.7}
    run(Recipe({"name": "a", "stages": {"clips": entry}}), out=tmp_path / "run", workers=1)
    rejects = [json.loads(line) for line in (tmp_path / "run" / "clips" / "rejects.jsonl").read_text().splitlines()]
    assert [(reject["id"], reject["error_type"]) for reject in rejects] == [
        ("r01", "DecodeError"),
        ("r02", "MediaError"),
    ]
    title, blocks = read_section(tmp_path / "run" / "clips")
    assert title == "Clips"
    assert ("sample rate, hertz", RATE) in blocks[0].rows  # type: ignore[union-attr]
    assert (tmp_path / "run" / "clips" / "samples" / "00.jpg").stat().st_size > 500
    assert ("hours of sound in all windows", 0.0) in blocks[0].rows  # type: ignore[union-attr]
    assert not [name for name, _ in blocks[0].rows if "hours of media" in name or "first" in name]  # type: ignore[union-attr]
    heard, rate = soundfile.read(tmp_path / "run" / "clips" / "samples" / "00.flac")
    assert rate == RATE
    stored = ClipStore(tmp_path / "run" / "clips" / "store").clips([0])
    np.testing.assert_allclose(heard, stored.flatten(), atol=1e-4)
    page = (tmp_path / "run" / "report.html").read_text()
    assert '<audio controls preload="none" src="data:audio/flac;base64,' in page


def test_a_speaker_is_left_out_of_training(tmp_path: Path) -> None:
    manifest = write_recordings(tmp_path / "data", count=6)
    entry = {"stage": "decode", "manifest": str(manifest), "sound": SOUND}
    run(Recipe({"name": "a", "stages": {"clips": entry}}), out=tmp_path / "run", workers=1)
    with opened_clips(tmp_path / "run" / "clips", workers=0) as clips:
        left = of_splits(clips, None, without_groups=["speaker 1"])
        assert [item.row_id for item in left.items] == ["r00", "r02", "r03", "r05"]
        with pytest.raises(StageError, match="no clip is of the group 'ann' to leave out; groups are such as"):
            of_splits(clips, None, without_groups=["ann"])


def test_stored_and_decoded_on_the_fly_are_the_same(tmp_path: Path) -> None:
    manifest = write_recordings(tmp_path / "data", count=3)
    entry = {"stage": "decode", "manifest": str(manifest), "sound": SOUND}
    stages = {"stored": entry, "fly": {**entry, "on_the_fly": True}}
    run(Recipe({"name": "a", "stages": stages}), out=tmp_path / "run", workers=1)
    with (
        opened_clips(tmp_path / "run" / "stored", workers=0) as stored,
        opened_clips(tmp_path / "run" / "fly", workers=0) as fly,
    ):
        assert torch.equal(stored.clips([2, 0]), fly.clips([2, 0]))


def test_neither_pictures_nor_sound(tmp_path: Path) -> None:
    manifest = write_recordings(tmp_path / "data", count=1)
    recipe = Recipe({"name": "a", "stages": {"clips": {"stage": "decode", "manifest": str(manifest)}}})
    with pytest.raises(StageError, match="give size, to decode pictures, or sound, to decode sound, or both"):
        run(recipe, out=tmp_path / "run", workers=1)


def test_from_recordings_to_a_report(tmp_path: Path) -> None:
    """Trained, embedded, indexed and scored as pictures are, with baselines for sound beside."""
    manifest = write_recordings(tmp_path / "data")
    stages = {
        "clips": {"stage": "decode", "manifest": str(manifest), "sound": SOUND},
        "cpc": {
            "stage": "train",
            "clips": "$clips",
            "encoder": {"name": "cpc_encoder", "sample_rate": RATE, "code_dim": 8, "context_dim": 8},
            "objective": {"name": "cpc", "num_steps": 4, "num_negatives": 4},
            "training": {"batch_size": 4, "num_steps": 2, "log_every": 1, "device": "cpu"},
        },
        "embed": {"clips": "$clips", "encoders": ["$cpc"]},
        "index": {"clips": "$clips", "embeddings": "$embed"},
        "left_out": {
            "stage": "evaluate",
            "clips": "$clips",
            "embeddings": "$embed",
            "encoders": ["$cpc", "$cpc:embed=all"],
            "evaluation": {"name": "left_out", "per_class": [1], "l2s": [0.1]},
        },
    }
    report = run(Recipe({"name": "a", "stages": stages}), out=tmp_path / "run", workers=1)
    assert "Accuracy by steps of 10 ms ahead" in report.read_text()
    assert list((tmp_path / "run" / "index" / "neighbors").glob("*.jpg"))
    rows = read_rows(tmp_path / "run" / "left_out" / "rows.jsonl")
    trained = ["cpc", "cpc:embed=all", "random:cpc", "random:cpc:embed=all"]
    encoders = [*trained, "mfcc:sample_rate=8000", "log_mel:sample_rate=8000", "chance"]
    assert sorted({row.encoder for row in rows}) == sorted(encoders)
    assert {row.encoder: row.value for row in rows if row.metric == "top1"}["mfcc:sample_rate=8000"] == 1.0


def test_an_encoder_of_another_rate_is_refused(tmp_path: Path) -> None:
    manifest = write_recordings(tmp_path / "data", count=2)
    stages = {
        "clips": {"stage": "decode", "manifest": str(manifest), "sound": SOUND},
        "embed": {"clips": "$clips", "encoders": ["mfcc"]},
    }
    with pytest.raises(StageError, match="takes sound of 16000 Hz, but the clips are sound of 8000 Hz"):
        run(Recipe({"name": "a", "stages": stages}), out=tmp_path / "run", workers=1)


def test_recordings_are_embedded_searched_and_scored_without_a_recipe(tmp_path: Path) -> None:
    manifest = write_recordings(tmp_path / "data")
    form = ClipForm(seconds=0.25)
    embed_manifest("mfcc:sample_rate=8000", manifest, tmp_path / "found", form=form, workers=1)
    index_folder(tmp_path / "found")
    nearest = search_folder(tmp_path / "found", tmp_path / "data" / "4.wav", k=3)
    assert nearest[0] == ("r04#0", pytest.approx(1.0, abs=1e-4))
    assert all(int(name[1:3]) % 2 == 0 for name, _ in nearest)
    rows = evaluate_manifest("log_mel:sample_rate=8000", manifest, "knn", ["ks=[3]"], form=form, workers=1)
    assert {row.encoder for row in rows} == {
        "log_mel:sample_rate=8000",
        "mfcc:sample_rate=8000",
        "chance",
        "majority",
    }
    assert rows[0].value == 1.0
