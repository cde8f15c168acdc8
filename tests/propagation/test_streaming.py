import threading
from collections.abc import Iterator

import pytest

from mmssl.propagation.streaming import InOrder, batches, prefetch


def test_prefetch_keeps_order_and_looks_no_further_ahead_than_asked() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for item in range(20):
            made.append(item)
            yield item

    ahead = prefetch(items(), 3)
    assert next(ahead) == 0
    assert len(made) <= 4
    assert list(ahead) == list(range(1, 20))


def test_prefetch_passes_errors_on() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("torn tape")

    ahead = prefetch(items(), 2)
    assert next(ahead) == 1
    with pytest.raises(OSError, match="torn tape"):
        next(ahead)


def test_batches() -> None:
    assert list(batches(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(batches([], 2)) == []


def test_calls_run_in_order_in_one_thread() -> None:
    seen: list[tuple[int, int]] = []
    with InOrder(2) as writer:
        for item in range(10):
            writer.submit(lambda item=item: seen.append((item, threading.get_ident())))
    assert [item for item, _ in seen] == list(range(10))
    assert len({thread for _, thread in seen}) == 1


def test_error_of_a_call_surfaces_and_stops_the_calls_after_it() -> None:
    seen: list[int] = []

    def fail() -> None:
        raise OSError("disk full")

    def write() -> None:
        with InOrder(4) as writer:
            writer.submit(fail)
            writer.submit(seen.append, 1)

    with pytest.raises(OSError, match="disk full"):
        write()
    assert not seen
