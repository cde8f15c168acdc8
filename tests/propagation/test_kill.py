"""Killed at any moment, the command goes on and ends with the same bytes."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from torch import Tensor

from mmssl.media.image import write_index_png
from tests.propagation.conftest import write_moving_squares
from tests.propagation.test_video import contents

ROOT = Path(__file__).parents[2]


def start(*arguments: str) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", "from mmssl.cli import main; main()", "propagate", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)


def num_files(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))


def kill_after(process: "subprocess.Popen[bytes]", out: Path, count: int) -> bool:
    """Kills a process when it has written so many more files; whether it got that far."""
    goal = num_files(out) + count
    while process.poll() is None:
        if num_files(out) >= goal:
            process.kill()
            process.wait()
            return True
        time.sleep(0.001)
    return False


@pytest.mark.slow
@pytest.mark.parametrize("with_cache", [False, True])
def test_the_same_bytes_after_any_kill(with_cache: bool, tmp_path: Path) -> None:
    """Both directions, a fusion in between, masks, pictures and an export."""
    masks: list[Tensor] = write_moving_squares(tmp_path / "frames", num_frames=14)
    (tmp_path / "labels").mkdir()
    for frame in (2, 9):
        write_index_png(tmp_path / "labels" / f"{frame:05}.png", masks[frame])
    shared = [str(tmp_path / "frames"), "--labels", str(tmp_path / "labels"), "--save-as", "coco"]

    def arguments(name: str) -> list[str]:
        cache = ["--features", str(tmp_path / f"features_{name}")] if with_cache else []
        return [*shared, *cache, "-o", str(tmp_path / name)]

    assert start(*arguments("whole")).wait() == 0
    counts = random.Random(0)
    kills = 0
    while kill_after(start(*arguments("killed")), tmp_path / "killed", counts.randrange(1, 9)):
        kills += 1
    assert kills >= 3
    assert start(*arguments("killed")).wait() == 0
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    if with_cache:
        assert contents(tmp_path / "features_killed") == contents(tmp_path / "features_whole")
