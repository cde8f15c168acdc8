"""The real stages together: the same bytes for any number of workers and after any kill, and bad files named."""

import json
import multiprocessing
import random
import shutil
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from mmssl.data.manifest import ManifestRow, read_manifest, write_manifest
from mmssl.errors import StageError
from mmssl.report.section import read_section
from mmssl.stages.run import run_recipe


def content(folder: Path) -> dict[str, bytes]:
    """Every file that must not depend on workers, kills and the clock, by its path."""
    left_out = {"stage.json", "run.json", "report.html", ".lock"}
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and file.name not in left_out]
    relative = [file.relative_to(folder) for file in files]
    return {str(file): (folder / file).read_bytes() for file in relative if "logs" not in file.parts}


def start(recipe: Path, out: Path, *, workers: int = 1) -> BaseProcess:
    """Runs the recipe in a process of its own, forked from a server that has imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mmssl.stages.run"])
    process = context.Process(target=run_recipe, args=(recipe,), kwargs={"out": out, "workers": workers})
    process.start()
    return process


def wait(process: BaseProcess) -> int | None:
    """The exit code of a process, in the end."""
    process.join(280)
    return process.exitcode


@pytest.fixture(scope="module")
def whole(small_recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run by one worker."""
    out = tmp_path_factory.mktemp("whole")
    assert wait(start(small_recipe, out)) == 0
    return out


def test_every_stage_leaves_its_output_and_a_section(whole: Path) -> None:
    assert json.loads((whole / "run.json").read_text())["stages"] == [
        "clips",
        "color",
        "contrast",
        "embed",
        "index",
        "knn",
    ]
    for stage in ("clips", "color", "contrast", "embed", "index", "knn"):
        title, blocks = read_section(whole / stage)
        assert title
        assert blocks
        assert not [block for block in blocks if type(block).__name__ == "Damaged"]
    scored = {json.loads(line)["encoder"] for line in (whole / "knn/rows.jsonl").read_text().splitlines()}
    assert {"contrast", "random:contrast", "pixels", "chance"} <= scored


def test_training_leaves_the_test_split_out(whole: Path) -> None:
    _, (facts, *_) = read_section(whole / "color")
    assert dict(facts.rows)["clips to train on"] == 8  # type: ignore[union-attr]


def test_two_workers_give_the_same_bytes(small_recipe: Path, whole: Path, tmp_path: Path) -> None:
    assert wait(start(small_recipe, tmp_path / "out", workers=2)) == 0
    assert content(tmp_path / "out") == content(whole)


def kill_in(stage: str, recipe: Path, whole: Path, out: Path, *, after_seconds: float) -> None:
    """Kills a run some moment after a stage has begun."""
    shutil.copytree(whole, out)
    names = json.loads((whole / "run.json").read_text())["stages"]
    for below in names[names.index(stage) :]:
        shutil.rmtree(out / below)
    process = start(recipe, out)
    while process.is_alive() and not (out / f".{stage}.partial").exists():
        time.sleep(0.01)
    process.join(after_seconds)
    process.kill()
    process.join()


def check_kill(stage: str, recipe: Path, whole: Path, out: Path, *, longest_seconds: float, seed: int) -> None:
    drawn = random.Random(f"{stage}{seed}")
    kill_in(stage, recipe, whole, out, after_seconds=drawn.uniform(0.0, longest_seconds))
    assert wait(start(recipe, out)) == 0
    assert content(out) == content(whole)
    assert not [file for file in out.rglob(".*") if file.name != ".lock"]
    shutil.rmtree(out)


@pytest.mark.parametrize("stage", ["clips", "contrast"])
def test_a_killed_run_ends_with_the_same_bytes(stage: str, small_recipe: Path, whole: Path, tmp_path: Path) -> None:
    check_kill(stage, small_recipe, whole, tmp_path / "out", longest_seconds=2.0, seed=0)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("stage", ["clips", "color", "contrast", "embed", "index", "knn"])
def test_ten_kills_in_each_stage(stage: str, small_recipe: Path, whole: Path, tmp_path: Path) -> None:
    took = json.loads((whole / stage / "stage.json").read_text())["seconds"]
    for seed in range(10):
        check_kill(stage, small_recipe, whole, tmp_path / "out", longest_seconds=1.1 * took, seed=seed)


def faulty_manifest(folder: Path, sound: Path) -> Path:
    """The sound rows, and one row for each way in which a file can be bad."""
    good = read_manifest(sound)
    whole_file = good.resolve(good.rows[0]).read_bytes()
    (folder / "bad").mkdir(parents=True)
    files = {
        "empty": b"",
        "truncated": whole_file[: len(whole_file) // 3],
        "corrupt": whole_file[:40] + bytes(len(whole_file) - 40),
        "nonmedia": b"this is a text, not a video\n" * 50,
        "unreadable": whole_file,
    }
    for name, data in files.items():
        (folder / "bad" / f"{name}.mp4").write_bytes(data)
    (folder / "bad" / "unreadable.mp4").unlink()
    (folder / "bad" / "unreadable.mp4").mkdir()
    write_audio_only(folder / "bad" / "audio.mp4")
    write_zero_duration(folder / "bad" / "zero.mp4")
    rows = [
        ManifestRow(
            id=row.id, uri=str(good.resolve(row).resolve()), media_type="video", label=row.label, split=row.split
        )
        for row in good.rows
    ]
    names = [*files, "missing", "audio", "zero"]
    rows += [ManifestRow(id=name, uri=f"bad/{name}.mp4", media_type="video") for name in names]
    write_manifest(folder / "manifest.jsonl", rows)
    return folder / "manifest.jsonl"


def write_audio_only(path: Path) -> None:
    import av
    import numpy as np

    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 16000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


def write_zero_duration(path: Path) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        container.start_encoding()


def test_bad_files_are_named_and_the_rest_is_whole(small_recipe: Path, tmp_path: Path) -> None:
    sound = small_recipe.parent / "manifest.jsonl"
    manifest = faulty_manifest(tmp_path / "data", sound)
    run_recipe(
        small_recipe,
        [f"clips.manifest={manifest}", "clips.time_limit_seconds=20"],
        out=tmp_path / "out",
        until="clips",
    )
    rejects = [json.loads(line) for line in (tmp_path / "out/clips/rejects.jsonl").read_text().splitlines()]
    bad = {"empty", "truncated", "corrupt", "nonmedia", "unreadable", "missing", "audio", "zero"}
    assert {reject["id"] for reject in rejects} == bad
    for reject in rejects:
        assert reject["error_type"]
        assert len(reject["message"]) > 10
    page = (tmp_path / "out/report.html").read_text()
    for reject in rejects:
        assert reject["id"] in page
    alone = tmp_path / "alone"
    run_recipe(small_recipe, out=alone, until="clips")
    from mmssl.stages.clips import open_clips

    with_bad, without = open_clips(tmp_path / "out/clips"), open_clips(alone / "clips")
    assert [item.id for item in with_bad.items] == [item.id for item in without.items]


def test_too_many_rejects_stop_the_run(small_recipe: Path, tmp_path: Path) -> None:
    manifest = faulty_manifest(tmp_path / "data", small_recipe.parent / "manifest.jsonl")
    with pytest.raises(
        StageError, match=r"8 of 16 rows gave no clip, more than max_reject_fraction 0.2 allows.*first:"
    ):
        run_recipe(
            small_recipe,
            [f"clips.manifest={manifest}", "clips.max_reject_fraction=0.2"],
            out=tmp_path / "out",
            until="clips",
        )


def test_training_on_clips_decoded_on_the_fly_is_the_same_for_any_number_of_workers(
    small_recipe: Path, tmp_path: Path
) -> None:
    for workers in (1, 2):
        run_recipe(small_recipe, ["clips.on_the_fly=true"], out=tmp_path / str(workers), until="color", workers=workers)
    one, two = content(tmp_path / "1"), content(tmp_path / "2")
    assert one == two
    assert "color/checkpoint/encoder.safetensors" in one
    assert not (tmp_path / "1/clips/store").exists()
    assert (tmp_path / "1/clips/rejects.jsonl").read_text() == ""
