"""Progress on standard error: a bar with time left at a terminal, a line now and then in a log."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar

SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Shows how far a piece of work is; use it in a `with` statement.

    Args:
        description: What is being done, such as `decode`.
        total: Units of work in all.
        unit: Plural noun of a unit, such as `clips`.
        done: Units that an earlier, interrupted run finished; they do not count towards the speed.
    """

    def __init__(self, description: str, total: int, *, unit: str = "items", done: int = 0) -> None:
        self.description = description
        self.total = total
        self.unit = unit
        self.done = self._done_before = done
        self._facts = ""
        self._bar: Bar | None = None
        self._began = self._printed = time.monotonic()

    def __enter__(self) -> "Progress":
        self._began = self._printed = time.monotonic()
        if sys.stderr.isatty():
            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[facts]}"),
                console=Console(stderr=True),
            )
            self._bar.start()
            self._task = self._bar.add_task(self.description, total=self.total, completed=self.done, facts="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif kind is None:
            self._print_line()

    def advance(self, count: int = 1, **facts: float | str) -> None:
        """Notes finished units, and facts to show beside them, such as `loss=1.234`."""
        self.done += count
        shown = [
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in facts.items()
        ]
        self._facts = "  ".join([f"{self.units_per_second:.3g} {self.unit}/s", *shown])
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, facts=self._facts)
        elif time.monotonic() - self._printed >= SECONDS_BETWEEN_LINES:
            self._print_line()

    @property
    def units_per_second(self) -> float:
        """Mean speed since the start of this process."""
        return (self.done - self._done_before) / max(time.monotonic() - self._began, 1e-9)

    def _print_line(self) -> None:
        self._printed = time.monotonic()
        elapsed = self._printed - self._began
        left = (self.total - self.done) / self.units_per_second if self.done > self._done_before else 0.0
        times = f"{_clock(elapsed)} elapsed, {_clock(left)} left"
        print(
            f"{self.description}: {self.done}/{self.total}  {times}  {self._facts}".rstrip(),
            file=sys.stderr,
            flush=True,
        )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
