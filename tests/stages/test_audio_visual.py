"""Films through the stages of a run: seen and heard, trained on, scored and shown."""

from pathlib import Path

import pytest

from mmssl.config import Recipe
from mmssl.data.manifest import ManifestRow, write_manifest
from mmssl.errors import StageError
from mmssl.evaluation.evaluate import read_rows
from mmssl.stages.run import run
from tests.media.test_audio import write_track
from tests.objectives.family import AUDIO_VISUAL, ENCODER

RATE = 8000


@pytest.fixture
def clips(tmp_path: Path) -> dict[str, object]:
    """A decode stage of three films with clicks and flashes."""
    rows = []
    for number in range(3):
        write_track(tmp_path / f"{number}.mp4", "aac", RATE, with_pictures=True, begin=0.1 * number, fps=20)
        rows.append(ManifestRow(f"r{number}", f"{number}.mp4", "video"))
    write_manifest(tmp_path / "m.jsonl", rows)
    return {
        "stage": "decode",
        "manifest": str(tmp_path / "m.jsonl"),
        "num_frames": 24,
        "size": 16,
        "sampler": {"name": "windows", "seconds_between_frames": 0.05, "seconds_between_clips": 1.2},
        "sound": {"sample_rate": RATE, "window_seconds": 1.2},
    }


def training(objective: str, encoder: dict[str, object]) -> dict[str, object]:
    view = {"name": "audio_visual", "size": 16, "num_frames": 4, "window_seconds": 0.2, "seconds_apart": 0.3}
    settings = {"num_clusters": 2, "num_bands": 8, "sample_rate": RATE} if objective == "audio_clusters" else {}
    return {
        "stage": "train",
        "clips": "$clips",
        "encoder": encoder,
        "objective": {"name": objective, **settings},
        "view": view,
        "training": {"batch_size": 2, "num_steps": 2, "log_every": 1, "watch_every": 1, "device": "cpu"},
    }


def test_from_films_to_a_report(tmp_path: Path, clips: dict[str, object]) -> None:
    moment = {"size": 16, "num_frames": 4, "window_seconds": 0.2, "num_moments": 2}
    stages = {
        "clips": clips,
        "pairs": training("audio_visual_correspondence", AUDIO_VISUAL),
        "clusters": training("audio_clusters", ENCODER),
    }
    for name, settings in {"audio_visual_retrieval": {"ks": [1]}, "time_offset": {"num_shifts": 3}}.items():
        evaluation = {"name": name, "moment": moment, **settings}
        stages[name] = {"stage": "evaluate", "clips": "$clips", "encoders": ["$pairs"], "evaluation": evaluation}
    report = run(Recipe({"name": "a", "stages": stages}), out=tmp_path / "run", workers=1).read_text()
    for text in ("seconds of sound beside them", "similarity of the pictures of each moment", "accuracy within clip"):
        assert text in report
    assert "frames by the cluster that is predicted for them" in report
    for name in ("audio_visual_retrieval", "time_offset"):
        rows = read_rows(tmp_path / "run" / name / "rows.jsonl")
        assert {row.encoder for row in rows} == {"pairs", "random:pairs", "chance"}
        assert {row.num_items for row in rows} == {3}
    assert (tmp_path / "run" / "clips" / "samples" / "00.flac").stat().st_size > 1000
    assert (tmp_path / "run" / "time_offset" / "pairs" / "similarity_by_shift.png").is_file()


def test_a_training_that_hears_refuses_pictures_alone(tmp_path: Path, clips: dict[str, object]) -> None:
    del clips["sound"]
    stages = {"clips": clips, "pairs": training("audio_visual_correspondence", AUDIO_VISUAL)}
    with pytest.raises(StageError, match="wants sound of 8000 Hz beside the pictures, and the clips have none"):
        run(Recipe({"name": "a", "stages": stages}), out=tmp_path / "run", workers=1)
