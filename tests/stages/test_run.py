import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest

from mmssl.errors import ConfigError, StageError
from mmssl.stages.context import Input, RunContext
from mmssl.stages.graph import Stage
from mmssl.stages.run import run_recipe

CALLS: list[str] = []


def source(out: Path, context: RunContext, *, text: str = "a", units: int = 2, sleep_seconds: float = 0.0) -> None:
    """Writes its text once for each unit, leaving out those that are there."""
    CALLS.append(context.stage)
    time.sleep(sleep_seconds)
    for unit in range(units):
        file = out / f"{unit}.txt"
        if not file.exists():
            CALLS.append(f"{context.stage}.{unit}")
            file.write_text(f"{text}{context.seed}")
        if (out.parent / "fail").exists():
            raise StageError("asked to fail")
        if (out.parent / "die").exists():
            os.kill(os.getpid(), signal.SIGKILL)


def copy(out: Path, context: RunContext, *, of: Annotated[Path, Input("source", "copy")], suffix: str = "") -> None:
    CALLS.append(context.stage)
    (out / "0.txt").write_text((of / "0.txt").read_text() + suffix)


STAGES: dict[str, Stage] = {"source": source, "copy": copy}
RECIPE = """\
name: small
seed: 5
stages:
  source: {text: x}
  left: {stage: copy, of: $source}
  right: {stage: copy, of: $source, suffix: r}
  last: {stage: copy, of: $left, suffix: l}
"""


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., list[str]]:
    """Runs the recipe in a folder and gives the calls that it made."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE)

    def run(*overrides: str, **options: Any) -> list[str]:
        CALLS.clear()
        run_recipe(recipe, overrides, out=tmp_path / "out", stages=STAGES, **options)
        return list(CALLS)

    return run


def test_a_second_run_does_nothing(run: Callable[..., list[str]], tmp_path: Path) -> None:
    assert run() == ["source", "source.0", "source.1", "left", "right", "last"]
    assert run() == []
    assert (tmp_path / "out/last/0.txt").read_text() == "x5l"
    assert json.loads((tmp_path / "out/run.json").read_text())["stages"] == ["source", "left", "right", "last"]
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"source", "left", "right", "last", "run.json", ".lock", "report.html"}


def test_a_changed_setting_runs_its_stage_and_those_below(run: Callable[..., list[str]], tmp_path: Path) -> None:
    run()
    assert run("left.suffix=z") == ["left", "last"]
    assert (tmp_path / "out/last/0.txt").read_text() == "x5zl"
    assert run("left.suffix=z", "right.suffix=q") == ["right"]
    assert run() == ["left", "right", "last"]
    assert run("seed=6") == ["source", "source.0", "source.1", "left", "right", "last"]
    assert run("source.text=x", "seed=6") == [], "writing down a value that stands already changes nothing"


def test_until_stops_after_a_stage(run: Callable[..., list[str]], tmp_path: Path) -> None:
    assert run(until="left") == ["source", "source.0", "source.1", "left"]
    assert not (tmp_path / "out/right").exists()
    assert run() == ["right", "last"]
    with pytest.raises(ConfigError, match="did you mean 'right'"):
        run(until="rigth")


def test_a_failed_stage_keeps_its_finished_units_and_leaves_the_old_output(
    run: Callable[..., list[str]], tmp_path: Path
) -> None:
    run()
    (tmp_path / "out/fail").touch()
    with pytest.raises(StageError, match=r"stage source \(.*recipe.yaml:4\): asked to fail"):
        run("source.text=y")
    assert (tmp_path / "out/source/0.txt").read_text() == "x5"
    assert json.loads((tmp_path / "out/run.json").read_text())["stages"] == []
    (tmp_path / "out/fail").unlink()
    assert run("source.text=y") == ["source", "source.1", "left", "right", "last"]
    assert (tmp_path / "out/source/0.txt").read_text() == "y5"


def test_what_another_setting_began_is_thrown_away(run: Callable[..., list[str]], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/fail").touch()
    with pytest.raises(StageError):
        run("source.text=y")
    (tmp_path / "out/fail").unlink()
    assert run()[:3] == ["source", "source.0", "source.1"]
    assert (tmp_path / "out/source/0.txt").read_text() == "x5"


def test_a_killed_run_goes_on_and_its_lock_is_free(run: Callable[..., list[str]], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/die").touch()
    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    (tmp_path / "out/die").unlink()
    assert run()[:2] == ["source", "source.1"]


def test_the_seconds_of_a_stage_are_those_of_all_processes(run: Callable[..., list[str]], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/die").touch()
    process = multiprocessing.get_context("fork").Process(target=run, args=("source.sleep_seconds=0.2",))
    process.start()
    process.join()
    (tmp_path / "out/die").rename(tmp_path / "out/fail")
    with pytest.raises(StageError):
        run("source.sleep_seconds=0.2")
    (tmp_path / "out/fail").unlink()
    run("source.sleep_seconds=0.2")
    record = json.loads((tmp_path / "out/source/stage.json").read_text())
    assert 0.6 < record["seconds"] < 30
    assert "began" not in record


def test_one_run_at_a_time(run: Callable[..., list[str]], tmp_path: Path) -> None:
    def hold(ready: Any, out: Path) -> None:
        from mmssl.stages.folder import run_lock

        with run_lock(out):
            ready.set()
            time.sleep(60)

    context = multiprocessing.get_context("fork")
    ready = context.Event()
    process = context.Process(target=hold, args=(ready, tmp_path / "out"))
    process.start()
    try:
        assert ready.wait(20)
        with pytest.raises(StageError, match=rf"another run is at work there \(process {process.pid}\)"):
            run()
    finally:
        process.kill()
        process.join()
    assert run()


def test_stages_say_what_they_do(run: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    run()
    out, err = capsys.readouterr()
    assert out == ""
    assert "source: running" in err
    assert "source: done in 0.0 s" in err
    run("right.suffix=z")
    _, err = capsys.readouterr()
    assert "source: current" in err
    assert "right: done" in err


def test_every_fault_stands_with_its_line(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("name: x\nstages:\n  source: {txt: a}\n  copy:\n    of: $sorce\n")
    with pytest.raises(ConfigError) as caught:
        run_recipe(recipe, out=tmp_path / "out", stages=STAGES)
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{recipe}:3: stages.source.txt: not a setting")
    assert second.startswith(f"{recipe}:5: stages.copy.of: $sorce is no stage of this recipe (did you mean 'source'?)")
    assert not (tmp_path / "out").exists()
