"""Items that hang, crash, run out of memory or raise cost only themselves."""

import ctypes
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch

from mmssl.errors import ConfigError, DecodeError
from mmssl.media.clip import Clip
from mmssl.media.worker_pool import WorkerPool


def work(item: object) -> object:
    """What an item's first word says."""
    match item:
        case "sleep":
            time.sleep(1000)
        case "hold the interpreter":
            ctypes.PyDLL(None).usleep(1_000_000_000)
        case "exit":
            os._exit(3)
        case "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "allocate":
            return len(bytearray(4 << 30))
        case "allocate in steps":
            return sum(len(part) for part in [bytearray(b"x" * (16 << 20)) for _ in range(200)])
        case "allocate a tensor":
            return torch.ones(1 << 30).sum().item()
        case "raise":
            raise DecodeError("a.mp4: two\nlines")
        case "threads":
            return torch.get_num_threads()
        case "clip":
            return Clip(
                torch.arange(2 * 3 * 4 * 5, dtype=torch.uint8).view(2, 3, 4, 5), torch.tensor([0.0, 0.5]).double()
            )
        case "process":
            return os.getpid()
        case "cannot be sent":
            return lambda: 0
    return item


HANGING = ["sleep", "hold the interpreter"]
BAD = {
    "exit": "WorkerCrashed",
    "segfault": "WorkerCrashed",
    "allocate": "MemoryLimitExceeded",
    "allocate in steps": "MemoryLimitExceeded",
    "allocate a tensor": "MemoryLimitExceeded",
    "raise": "DecodeError",
}


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(work, workers=2, time_limit_seconds=60.0, memory_limit_bytes=400 << 20) as pool:
        yield pool


def test_bad_items_cost_only_themselves(pool: WorkerPool) -> None:
    items = [1, *BAD, 2, "clip", 3]
    outcomes = list(pool.map(items))
    assert [outcome.position for outcome in outcomes] == list(range(len(items)))
    for item, outcome in zip(items, outcomes, strict=True):
        assert outcome.error_type == BAD.get(str(item)), outcome
        assert outcome.is_ok == (str(item) not in BAD)
        assert "\n" not in (outcome.error_message or "")
    assert [outcomes[0].value, outcomes[-1].value] == [1, 3]
    clip = outcomes[-2].value
    assert isinstance(clip, Clip)
    assert clip.frames.flatten().tolist() == list(range(120))
    messages = {str(item): outcome.error_message for item, outcome in zip(items, outcomes, strict=True)}
    assert messages["exit"] == "the worker process ended with exit code 3"
    assert messages["segfault"] == "the worker process was ended by SIGSEGV"
    assert messages["raise"] == "a.mp4: two lines"


def test_hanging_items_cost_only_themselves() -> None:
    with WorkerPool(work, workers=2, time_limit_seconds=2.0) as pool:
        outcomes = list(pool.map([1, *HANGING, 2]))
    assert [outcome.error_type for outcome in outcomes] == [None, "TimeLimitExceeded", "TimeLimitExceeded", None]
    assert [outcomes[0].value, outcomes[-1].value] == [1, 2]
    assert {outcome.error_message for outcome in outcomes[1:3]} == {"took longer than 2 s"}


def test_results_and_items_that_cannot_be_sent(pool: WorkerPool) -> None:
    first, second, third = pool.map(["cannot be sent", lambda: 0, 5])
    assert not first.is_ok
    assert not second.is_ok
    assert third.value == 5


def test_unordered_gives_each_item_once(pool: WorkerPool) -> None:
    outcomes = list(pool.map(range(40), ordered=False))
    assert sorted(outcome.position for outcome in outcomes) == list(range(40))
    assert all(outcome.value == outcome.position for outcome in outcomes)


def test_workers_are_reused_and_have_one_thread(pool: WorkerPool) -> None:
    outcomes = list(pool.map(["process"] * 20))
    assert len({outcome.value for outcome in outcomes}) <= 2
    assert {outcome.value for outcome in pool.map(["threads"] * 4)} == {1}


def test_input_is_taken_as_needed(pool: WorkerPool) -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for item in range(1000):
            taken += 1
            yield item

    outcomes = pool.map(items())
    for _ in range(5):
        next(outcomes)
    assert taken <= 5 + 4 * 2 + 1
    outcomes.close()
    assert [outcome.value for outcome in pool.map([7])] == [7]


def test_no_process_is_left_behind() -> None:
    with WorkerPool(work, workers=2) as pool:
        pids = {outcome.value for outcome in pool.map(["process"] * 6)}
        results = pool.map(["sleep"] * 4 + [1], ordered=False)
        with pytest.raises(KeyboardInterrupt):
            _interrupted(results)
    assert not any(psutil.pid_exists(int(str(pid))) for pid in pids)
    names = [child for child in psutil.Process().children(recursive=True) if child.status() == psutil.STATUS_ZOMBIE]
    assert not names


def _interrupted(results: Iterator[object]) -> None:
    """Waits for results and is interrupted from the keyboard meanwhile, also where this process was told to ignore that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        list(results)
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, before)


def test_workers_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent("""
        import ctypes, os, signal
        from pathlib import Path
        from mmssl.media.worker_pool import WorkerPool

        def work(folder):
            Path(folder, str(os.getpid())).touch()
            ctypes.PyDLL(None).usleep(1_000_000_000)

        if __name__ == "__main__":
            folder = Path(__file__).parent / "pids"
            folder.mkdir()
            pool = WorkerPool(work, workers=2, time_limit_seconds=1000)
            results = pool.map([str(folder)] * 2)
            def end_when_both_are_busy(*_):
                if len(list(folder.iterdir())) == 2:
                    os.kill(os.getpid(), signal.SIGKILL)

            signal.signal(signal.SIGALRM, end_when_both_are_busy)
            signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
            next(results)
        """)
    )
    ended = subprocess.run([sys.executable, script], env={**os.environ, "PYTHONPATH": "."}, timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL
    pids = [int(file.name) for file in (tmp_path / "pids").iterdir()]
    assert len(pids) == 2
    psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=10)
    assert not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)


def test_workers_do_not_import_the_main_module(tmp_path: Path) -> None:
    script = tmp_path / "slow_to_import.py"
    script.write_text(
        textwrap.dedent(
            f"""
            from functools import partial
            from pathlib import Path
            from mmssl.media.worker_pool import WorkerPool
            from mmssl.media.image import read_image

            with open({str(tmp_path / "imports")!r}, "a") as file:
                file.write("once\\n")
            if __name__ == "__main__":
                with WorkerPool(partial(read_image, at_least=(8, 8)), workers=1) as pool:
                    print([outcome.error_type for outcome in pool.map([Path("missing.png")])])
            """
        )
    )
    ended = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": "."},
        timeout=60,
        check=True,
        capture_output=True,
        text=True,
    )
    assert ended.stdout == "['MediaError']\n"
    assert (tmp_path / "imports").read_text() == "once\n"


def test_limits_are_positive() -> None:
    with pytest.raises(ConfigError, match="workers is 0"):
        WorkerPool(work, workers=0)
