"""Worker processes that may hang, crash or run out of memory without taking the run with them."""

import io
import multiprocessing
import multiprocessing.connection
import pickle
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from types import ModuleType, TracebackType
from typing import Any, Generic, TypeVar

import psutil

from mmssl.errors import ConfigError

Item = TypeVar("Item")
Value = TypeVar("Value")

TIME_LIMIT = "TimeLimitExceeded"
MEMORY_LIMIT = "MemoryLimitExceeded"
CRASH = "WorkerCrashed"

SECONDS_BETWEEN_CHECKS = 0.05
"""How often the memory of busy workers is looked at."""


@dataclass(frozen=True)
class Outcome(Generic[Value]):
    """What became of one item.

    Args:
        position: The item's place in the input, from 0.
        value: What the function returned; None where it failed.
        error_type: Name of the exception's class, or `TimeLimitExceeded`, `MemoryLimitExceeded`, `WorkerCrashed`; None
            where the function returned.
        error_message: One line; None where the function returned.
    """

    position: int
    value: Value | None
    error_type: str | None = None
    error_message: str | None = None

    @property
    def is_ok(self) -> bool:
        """Whether the function returned."""
        return self.error_type is None


class WorkerPool(Generic[Item, Value]):
    """Calls a function on items in worker processes, which are killed and replaced when they misbehave.

    A worker has one thread for torch, and does not outlive this process. Use the pool in a `with` statement; where the function
    is the main module's own, below `if __name__ == "__main__":`, because then workers import that.

    Args:
        function: Called with one item; it, the items and the results must pickle.
        workers: Number of processes.
        time_limit_seconds: Longest that one item may take; None for no limit.
        memory_limit_bytes: Most memory a worker may hold beyond what it holds when it starts; None for no limit. Enforced by the
            system where it can (Linux), and by watching.

    Raises:
        ConfigError: If a number is not positive.
    """

    def __init__(
        self,
        function: Callable[[Item], Value],
        *,
        workers: int,
        time_limit_seconds: int | float | None = None,
        memory_limit_bytes: int | None = None,
    ) -> None:
        for name, number in [
            ("workers", workers),
            ("time_limit_seconds", time_limit_seconds),
            ("memory_limit_bytes", memory_limit_bytes),
        ]:
            if number is not None and number <= 0:
                raise ConfigError(f"{name} is {number}; it must be above 0")
        self.time_limit_seconds = time_limit_seconds
        self.memory_limit_bytes = memory_limit_bytes
        self._function = pickle.dumps(function)
        self._module = _module_of(function)
        self._num_workers = workers
        self._workers: list[_Worker] = []

    def map(self, items: Iterable[Item], *, ordered: bool = True) -> Iterator[Outcome[Value]]:
        """Calls the function on each item.

        Items are taken from the input as workers come free, at most four times as many as workers ahead of the caller.
        When the caller stops iterating, workers that are busy are killed.

        Args:
            items: What to call the function with.
            ordered: Whether outcomes come in the items' order, or as they are ready.
        """
        waiting = enumerate(items)
        ready: dict[int, Outcome[Value]] = {}
        arrived: deque[int] = deque()
        num_given = num_yielded = 0
        is_exhausted = False
        try:
            while True:
                while not is_exhausted and num_given - num_yielded < 4 * self._num_workers:
                    worker = self._idle_worker()
                    if worker is None:
                        break
                    try:
                        position, item = next(waiting)
                    except StopIteration:
                        is_exhausted = True
                        break
                    num_given += 1
                    failure = worker.give(position, item)
                    if failure is not None:
                        ready[position] = failure
                        arrived.append(position)
                if is_exhausted and num_given == num_yielded:
                    return
                following = num_yielded if ordered else (arrived[0] if arrived else -1)
                if following in ready:
                    arrived.remove(following)
                    num_yielded += 1
                    yield ready.pop(following)
                    continue
                for outcome in self._collect():
                    ready[outcome.position] = outcome
                    arrived.append(outcome.position)
        finally:
            for worker in self._workers:
                if worker.position is not None:
                    worker.kill()
            self._workers = [worker for worker in self._workers if worker.is_usable]

    def _idle_worker(self) -> "_Worker | None":
        for worker in self._workers:
            if worker.position is None:
                return worker
        if len(self._workers) < self._num_workers:
            self._workers.append(_Worker(self._function, self._module, self.memory_limit_bytes))
            return self._workers[-1]
        return None

    def _collect(self) -> list[Outcome[Value]]:
        """Waits for something to happen to the busy workers, and gives what happened."""
        busy = [worker for worker in self._workers if worker.position is not None]
        timeout = None
        if self.time_limit_seconds is not None:
            first = min(worker.began for worker in busy)
            timeout = max(0.0, first + self.time_limit_seconds - time.monotonic())
        if self.memory_limit_bytes is not None:
            timeout = min(SECONDS_BETWEEN_CHECKS, SECONDS_BETWEEN_CHECKS if timeout is None else timeout)
        multiprocessing.connection.wait(
            [handle for worker in busy for handle in (worker.connection, worker.process.sentinel)], timeout
        )
        outcomes = []
        for worker in busy:
            outcome = worker.outcome(self.time_limit_seconds, self.memory_limit_bytes)
            if outcome is not None:
                outcomes.append(outcome)
        self._workers = [worker for worker in self._workers if worker.is_usable]
        return outcomes

    def close(self) -> None:
        """Ends the workers."""
        for worker in self._workers:
            worker.stop()
        self._workers = []

    def __enter__(self) -> "WorkerPool[Item, Value]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Worker:
    """A worker process as the pool sees it."""

    def __init__(self, function: bytes, module: str, memory_limit_bytes: int | None) -> None:
        context = _context(module)
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, function, memory_limit_bytes), daemon=True)
        with _unseen_main(module):
            self.process.start()
        theirs.close()
        self.position: int | None = None
        self.began = 0.0
        self.is_usable = True
        self._is_started = False
        self._base_bytes = 0

    def give(self, position: int, item: Any) -> Outcome | None:
        """Hands over an item; the outcome where that failed already."""
        try:
            message = _dumps(item)
        except Exception as error:
            return Outcome(position, None, type(error).__name__, f"the item cannot be sent: {_one_line(error)}")
        self.position = position
        self.began = time.monotonic()
        try:
            self.connection.send_bytes(message)
        except OSError:
            return self._fail(CRASH, self._ending())
        return None

    def outcome(self, time_limit_seconds: int | float | None, memory_limit_bytes: int | None) -> Outcome | None:
        """What became of the item, None while it is being worked on."""
        position = self.position
        assert position is not None
        if self.connection.poll():
            try:
                message = pickle.loads(self.connection.recv_bytes())
            except (EOFError, OSError):
                return self._fail(CRASH, self._ending())
            if isinstance(message, int):
                self._is_started, self._base_bytes, self.began = True, message, time.monotonic()
                return None
            self.position = None
            outcome = Outcome(position, *message)
            if outcome.error_type == MEMORY_LIMIT:
                self.kill()
            return outcome
        if not self.process.is_alive():
            return self._fail(CRASH, self._ending())
        if not self._is_started:
            return None
        if time_limit_seconds is not None and time.monotonic() - self.began > time_limit_seconds:
            return self._fail(TIME_LIMIT, f"took longer than {time_limit_seconds:g} s")
        if memory_limit_bytes is not None and self._resident_bytes() - self._base_bytes > memory_limit_bytes:
            return self._fail(MEMORY_LIMIT, f"took more than {memory_limit_bytes / 2**20:.0f} MiB of memory")
        return None

    def _resident_bytes(self) -> int:
        try:
            return int(psutil.Process(self.process.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def _fail(self, error_type: str, error_message: str) -> Outcome:
        position = self.position
        assert position is not None
        self.kill()
        return Outcome(position, None, error_type, error_message)

    def _ending(self) -> str:
        """How the process ended, in words."""
        self.process.join(1.0)
        code = self.process.exitcode
        if code is not None and code < 0:
            return f"the worker process was ended by {signal.Signals(-code).name}"
        return f"the worker process ended with exit code {code}"

    def kill(self) -> None:
        """Ends the process at once."""
        self.position = None
        self.is_usable = False
        self.connection.close()
        self.process.kill()
        self.process.join()
        self.process.close()

    def stop(self) -> None:
        """Ends an idle process."""
        if self.is_usable:
            self.kill()


def _module_of(function: Callable[..., Any]) -> str:
    """The module that a function, or the one that a partial one calls, is from."""
    while isinstance(function, partial):
        function = function.func
    return function.__module__


@contextmanager
def _unseen_main(module: str) -> Iterator[None]:
    """Lets a worker start without importing the main module, unless its function is from there."""
    main = sys.modules["__main__"]
    if module != "__main__":
        sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _context(module: str) -> Any:
    """Processes forked from a small server that has imported the function's module, so that replacing one is cheap."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([module] if module != "__main__" else [])
    return context


def start_early(function: Callable[..., Any]) -> None:
    """Starts the server that workers for a function are forked from, so that it imports while this process does other work."""
    context = _context(_module_of(function))
    if context.get_start_method() == "forkserver":
        forkserver.ensure_running()


def _serve(connection: Connection, function: bytes, memory_limit_bytes: int | None) -> None:
    """The life of a worker: takes items, sends back what became of them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    call = pickle.loads(function)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    own = psutil.Process()
    connection.send_bytes(pickle.dumps(int(own.memory_info().rss)))
    if memory_limit_bytes is not None:
        _limit_memory(memory_limit_bytes)
    while True:
        try:
            message = connection.recv_bytes()
        except (EOFError, OSError):
            return
        try:
            reply = _dumps((call(pickle.loads(message)), None, None))
        except MemoryError as error:
            reply = _dumps((None, MEMORY_LIMIT, _one_line(error) or "ran out of memory"))
        except Exception as error:
            is_memory = isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
            reply = _dumps((None, MEMORY_LIMIT if is_memory else type(error).__name__, _one_line(error)))
        connection.send_bytes(reply)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def die_with_parent() -> None:
    """Asks Linux to end this process when the one that started it ends, whatever runs here then.

    The other end of the sentinel's pipe is open in that process alone; the kernel sends the signal when it closes.
    """
    parent = multiprocessing.parent_process()
    if sys.platform == "linux" and parent is not None:
        import fcntl

        set_signal_command = 10
        fcntl.fcntl(parent.sentinel, set_signal_command, signal.SIGKILL)
        fcntl.fcntl(parent.sentinel, fcntl.F_SETOWN, multiprocessing.current_process().pid or 0)
        flags = fcntl.fcntl(parent.sentinel, fcntl.F_GETFL)
        fcntl.fcntl(parent.sentinel, fcntl.F_SETFL, flags | fcntl.FASYNC)


def _limit_memory(limit_bytes: int) -> None:
    """Lets allocations fail beyond what is held now and `limit_bytes`, where the system can."""
    if sys.platform == "linux":
        import resource

        held = psutil.Process().memory_full_info()
        resource.setrlimit(resource.RLIMIT_DATA, (held.data + limit_bytes, resource.RLIM_INFINITY))


class _Pickler(pickle.Pickler):
    """Sends tensors by value; torch's own way shares memory with a process that may be killed."""

    def reducer_override(self, value: Any) -> Any:
        torch = sys.modules.get("torch")
        if torch is not None and type(value) is torch.Tensor and value.device.type == "cpu" and not value.requires_grad:
            try:
                return torch.from_numpy, (value.detach().contiguous().numpy(),)
            except (RuntimeError, TypeError):
                return NotImplemented
        return NotImplemented


def _dumps(value: Any) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=5).dump(value)
    return buffer.getvalue()
