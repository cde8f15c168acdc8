"""Several processes of this machine that train together: started, watched and ended as one."""

import os
import signal
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import torch
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from mmssl.errors import MmsslError, TrainingError
from mmssl.media.worker_pool import die_with_parent
from mmssl.memory import keep_freed_memory
from mmssl.training.interruption import Interruption

LOCALHOST = "127.0.0.1"
SECONDS_BETWEEN_LOOKS = 0.2


def on_ranks(function: Callable[[], None], count: int) -> None:
    """Calls a function in each of several processes, which find in it that they are ranks of one training.

    Each process has the environment that torchrun gives, and its share of the threads. The first that fails ends all
    others, which may be waiting for it. SIGINT and SIGTERM are handed to rank 0 alone, which ends when its state is saved;
    a second one ends all at once. If this process dies, the others do too.

    Args:
        function: Can be pickled; calls `joined_ranks`.
        count: Number of processes; with one, the function is called in this one.

    Raises:
        MmsslError: As the first process that failed raised it.
        TrainingError: If a process dies without a word.
        RuntimeError: With the traceback of any other error.
        KeyboardInterrupt: After SIGINT.
        SystemExit: After SIGTERM.
    """
    if count == 1:
        function()
        return
    store = TCPStore(LOCALHOST, 0, is_master=True, wait_for_workers=False)
    threads = max(1, torch.get_num_threads() // count)
    context = get_context("spawn")
    ranks: dict[Connection, BaseProcess] = {}
    try:
        with Interruption() as interruption:
            for rank in range(count):
                here, there = context.Pipe(duplex=False)
                start = _Start(rank, count, store.port, threads)
                process: BaseProcess = context.Process(target=_run, args=(function, start, there), name=f"rank {rank}")
                process.start()
                there.close()
                ranks[here] = process
            _watch(ranks, interruption)
            if interruption.came:
                interruption.stop()
    finally:
        for process in ranks.values():
            process.kill()
            process.join()


@dataclass(frozen=True)
class _Start:
    """What a process is told when it starts."""

    rank: int
    count: int
    port: int
    threads: int


@dataclass(frozen=True)
class _Started:
    """A process has reached the function."""


@dataclass(frozen=True)
class _Ended:
    """A process has left the function."""

    error: BaseException | None


def _watch(ranks: dict[Connection, BaseProcess], interruption: Interruption) -> None:
    """Returns when every process has ended well, raises when one has not."""
    leader, *_ = ranks
    waiting = set(ranks)
    leader_runs = told = False
    errors: list[BaseException] = []
    while waiting and not errors:
        if interruption.came and not told:
            if not leader_runs:
                interruption.stop()
            os.kill(ranks[leader].pid or 0, signal.SIGINT)
            told = True
        for pipe, message in _messages(waiting, ranks):
            if isinstance(message, _Started):
                leader_runs = leader_runs or pipe is leader
            else:
                waiting.remove(pipe)
                errors += [message.error] if message.error is not None else []
    if errors:
        errors += [
            message.error for _, message in _messages(waiting, ranks) if isinstance(message, _Ended) and message.error
        ]
        cause = min(errors, key=lambda error: not isinstance(error, MmsslError | KeyboardInterrupt))
        if isinstance(cause, KeyboardInterrupt):
            interruption.stop()
        raise cause


def _messages(
    waiting: Collection[Connection], ranks: Mapping[Connection, BaseProcess]
) -> Iterator[tuple[Connection, _Started | _Ended]]:
    """What processes say within a short while; of one that died, how."""
    for pipe in wait(list(waiting), timeout=SECONDS_BETWEEN_LOOKS):
        assert isinstance(pipe, Connection)
        try:
            yield pipe, pipe.recv()
        except EOFError:
            yield pipe, _Ended(TrainingError(_death(ranks[pipe])))


def _death(process: BaseProcess) -> str:
    process.join()
    code = process.exitcode or 0
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return f"the process of {process.name} {how}; if memory ran out, lower batch_size or the number of processes"


def _run(function: Callable[[], None], start: _Start, there: Connection) -> None:
    """What a rank's process does; in a session of its own, so that Ctrl-C reaches it through its parent alone."""
    os.setsid()
    die_with_parent()
    os.environ |= {
        "RANK": str(start.rank),
        "LOCAL_RANK": str(start.rank),
        "WORLD_SIZE": str(start.count),
        "LOCAL_WORLD_SIZE": str(start.count),
        "MASTER_ADDR": LOCALHOST,
        "MASTER_PORT": str(start.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "TORCHELASTIC_RESTART_COUNT": "0",
    }
    torch.set_num_threads(start.threads)
    keep_freed_memory()
    there.send(_Started())
    try:
        function()
    except (MmsslError, KeyboardInterrupt) as error:
        there.send(_Ended(error))
    except BaseException:
        there.send(_Ended(RuntimeError(f"rank {start.rank} failed:\n{traceback.format_exc()}")))
    else:
        there.send(_Ended(None))
