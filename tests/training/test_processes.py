"""Several processes as one: they join, and an error, a death or a signal ends them all."""

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Timer

import psutil
import pytest
import torch
from torch import distributed

from mmssl.errors import TrainingError
from mmssl.training.distributed import is_leader, joined_ranks
from mmssl.training.interruption import Interruption
from mmssl.training.processes import on_ranks


def add_up(out: Path) -> None:
    with joined_ranks("cpu") as ranks:
        total = torch.ones(())
        if ranks.count > 1:
            distributed.all_reduce(total)
        (out / str(ranks.rank)).write_text(f"{total.item():g} {is_leader()} {os.getpid()}")


def one_fails_and_one_waits(out: Path, *, how: Callable[[], None]) -> None:
    with joined_ranks("cpu") as ranks:
        distributed.barrier()
        if ranks.rank == 0:
            how()
        distributed.all_reduce(torch.ones(()))


def refuse() -> None:
    raise TrainingError("no")


def stumble() -> None:
    raise ZeroDivisionError("by zero")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def work_until_told(out: Path) -> None:
    with Interruption() as interruption:
        (out / str(is_leader())).touch()
        while not interruption.came:
            time.sleep(0.01)
        (out / "saved").touch()
        interruption.stop()


def test_one_process_is_this_one(tmp_path: Path) -> None:
    on_ranks(partial(add_up, tmp_path), 1)
    assert (tmp_path / "0").read_text() == f"1 True {os.getpid()}"


def test_several_processes_join(tmp_path: Path) -> None:
    on_ranks(partial(add_up, tmp_path), 2)
    texts = [(tmp_path / name).read_text().split() for name in ("0", "1")]
    assert [text[:2] for text in texts] == [["2", "True"], ["2", "False"]]
    assert str(os.getpid()) not in (text[2] for text in texts)


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        (refuse, TrainingError, "^no$"),
        (stumble, RuntimeError, "rank 0 failed:(.|\n)*ZeroDivisionError: by zero"),
        (die, TrainingError, "the process of rank 0 was ended by SIGKILL"),
    ],
)
def test_one_that_fails_ends_all(how: Callable[[], None], error: type[Exception], message: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=message):
        on_ranks(partial(one_fails_and_one_waits, tmp_path, how=how), 2)
    assert not [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_lets_rank_0_save_and_ends_all(number: int, error: type[BaseException], tmp_path: Path) -> None:
    def tell() -> None:
        while not (tmp_path / "True").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    Timer(0.1, tell).start()
    with pytest.raises(error):
        on_ranks(partial(work_until_told, tmp_path), 2)
    assert (tmp_path / "saved").exists()
