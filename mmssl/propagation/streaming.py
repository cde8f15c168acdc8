"""Small helpers that let decoding, computing and writing go on at the same time in bounded memory."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")
_END = object()


def prefetch(items: Iterable[T], depth: int) -> Generator[T, None, None]:
    """The same items, in order, up to `depth` of them made ahead in a thread."""
    iterator = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as thread:
        ahead: deque[Future[Any]] = deque(thread.submit(next, iterator, _END) for _ in range(depth))
        try:
            while (item := ahead.popleft().result()) is not _END:
                ahead.append(thread.submit(next, iterator, _END))
                yield item
        finally:
            for future in ahead:
                future.cancel()


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` consecutive items; the last may be shorter."""
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


class InOrder:
    """Runs calls one after the other in a thread; at most `depth` wait.

    Once a call has failed, none after it runs, and its error surfaces at a later `submit` or at the end.

    Args:
        depth: Calls that may wait.
    """

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._waiting: deque[Future[Any]] = deque()
        self._has_failed = False

    def __enter__(self) -> "InOrder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._thread.shutdown(cancel_futures=True)
            return
        try:
            while self._waiting:
                self._waiting.popleft().result()
        finally:
            self._thread.shutdown(cancel_futures=True)

    def submit(self, call: Callable[..., Any], *args: Any) -> None:
        """Queues a call, after waiting for room."""
        while len(self._waiting) >= self._depth:
            self._waiting.popleft().result()
        self._waiting.append(self._thread.submit(self._run, call, *args))

    def _run(self, call: Callable[..., Any], *args: Any) -> None:
        if self._has_failed:
            return
        try:
            call(*args)
        except BaseException:
            self._has_failed = True
            raise
