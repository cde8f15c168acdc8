"""Ctrl-C and SIGTERM wait for the end of a step, so that a state can be saved."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interruption:
    """Notes the first SIGINT or SIGTERM inside a `with` block instead of stopping there; a second one stops at once.

    Outside the main thread, where Python delivers no signals, it does nothing.
    """

    def __init__(self) -> None:
        self._signal: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    @property
    def came(self) -> bool:
        """Whether a signal has come."""
        return self._signal is not None

    def stop(self) -> None:
        """Does what the signal would have done.

        Raises:
            KeyboardInterrupt: After SIGINT.
            SystemExit: After SIGTERM, with 143.
        """
        if self._signal == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
        raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._signal = number
        self._restore()

    def _restore(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)
