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


@pytest.mark.slow
@pytest.mark.parametrize("with_cache", [False, True])
def test_the_same_bytes_after_any_kill(with_cache: bool, tmp_path: Path) -> None:
    """Both directions, a fusion in between, masks, pictures and an export; killed at moments drawn anew, by a fixed seed."""
    masks: list[Tensor] = write_moving_squares(tmp_path / "frames", num_frames=60, size=(48, 320))
    (tmp_path / "labels").mkdir()
    for frame in (10, 40):
        write_index_png(tmp_path / "labels" / f"{frame:05}.png", masks[frame])
    shared = [str(tmp_path / "frames"), "--labels", str(tmp_path / "labels"), "--save-as", "coco"]

    def arguments(name: str) -> list[str]:
        cache = ["--features", str(tmp_path / f"features_{name}")] if with_cache else []
        return [*shared, *cache, "-o", str(tmp_path / name)]

    began = time.monotonic()
    assert start(*arguments("whole")).wait() == 0
    whole_seconds = time.monotonic() - began
    moments = random.Random(0)
    kills = 0
    for _ in range(40):
        process = start(*arguments("killed"))
        try:
            process.wait(timeout=whole_seconds * moments.uniform(0.3, 0.9))
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
        if process.wait() == 0:
            break
    assert kills >= 2
    assert start(*arguments("killed")).wait() == 0
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    if with_cache:
        assert contents(tmp_path / "features_killed") == contents(tmp_path / "features_whole")
