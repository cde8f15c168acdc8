"""The train stage on several processes gives what one process gives, and says an error once."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch.testing import assert_close

from mmssl.errors import StageError
from mmssl.stages.run import run_recipe

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def recipe(small_recipe: Path) -> Path:
    """The small recipe up to one training."""
    text = small_recipe.read_text()
    begin, end = text.index("  color:"), text.index("  contrast:")
    path = small_recipe.with_name("one_training.yaml")
    path.write_text(text[:begin] + text[end : text.index("  embed:")])
    return path


SETTINGS = ["contrast.training.optimizer={name: sgd, lr: 0.001}"]


@pytest.fixture(scope="module")
def alone(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Weights that one process trains."""
    out = tmp_path_factory.mktemp("alone")
    run_recipe(recipe, SETTINGS, out=out)
    return weights(out)


def weights(out: Path) -> dict:
    return load_file(out / "contrast/checkpoint/encoder.safetensors")


def test_two_processes_train_like_one_and_bad_settings_are_told_once(
    recipe: Path, alone: dict, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(StageError, match=r"stage contrast \(.*:\d+\): batch_size=5 cannot be shared evenly by 2 ranks"):
        run_recipe(recipe, [*SETTINGS, "contrast.training.batch_size=5"], out=tmp_path / "two", processes=2)
    _, err = capfd.readouterr()
    assert "shared" not in err
    assert "Traceback" not in err
    run_recipe(recipe, SETTINGS, out=tmp_path / "two", processes=2)
    two = weights(tmp_path / "two")
    assert_close(two, alone, rtol=1e-4, atol=1e-5)
    assert any((alone[name] != two[name]).any() for name in alone), "two processes were at work"
    assert (tmp_path / "two/contrast/section.json").exists()


def test_torchrun_trains_like_one_process(recipe: Path, alone: dict, tmp_path: Path) -> None:
    """Two trainings, and what rank 0 does alone after each: no process waits for another outside of them."""
    text = recipe.read_text()
    twice = recipe.with_name("two_trainings.yaml")
    twice.write_text(text + text[text.index("  contrast:") :].replace("contrast:", "again:", 1))
    settings = [*SETTINGS, SETTINGS[0].replace("contrast", "again")]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    arguments = [str(ROOT / "tools/run.py"), str(twice), *settings, "--out", str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*launcher, *arguments], env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path}/out/report.html\n"
    two = weights(tmp_path / "out")
    assert_close(two, alone, rtol=1e-4, atol=1e-5)
    assert any((alone[name] != two[name]).any() for name in alone), "two processes were at work"
    assert_close(load_file(tmp_path / "out/again/checkpoint/encoder.safetensors"), two, rtol=0, atol=0)


def test_interrupted_it_ends_with_130_and_goes_on(recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    settings = ["contrast.training.num_steps=100", "contrast.training.checkpoint_every_steps=5"]
    arguments = ["run", str(recipe), *settings, "--out", str(out), "--processes", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", "from mmssl.cli import main; main()", *arguments]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not list(out.glob(".contrast.partial/state/step-*")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.endswith("interrupted: the same command goes on where it stopped\n")
    assert "Traceback" not in err
    (state,) = list(out.glob(".contrast.partial/state/step-*"))[-1:]
    reached = int(state.name.removeprefix("step-"))
    assert 0 < reached < 100
    run_recipe(recipe, settings, out=out)
    steps = [json.loads(line)["step"] for line in (out / "contrast/metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(2, 101, 2))
    assert json.loads((out / "contrast/logs/timing.jsonl").read_text().splitlines()[0])["step"] == 2
