"""What a training writes down as it goes: metrics that compare byte by byte, and apart from them what the clock says."""

import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from torch.utils.tensorboard import SummaryWriter

STEPS = "steps since the line before"


class MetricsLog:
    """Writes `metrics.jsonl`, `logs/timing.jsonl` and TensorBoard's events under `logs/`.

    Lines of an earlier, killed process that are later than the state it left are removed, so that in the end
    `metrics.jsonl` is what an uninterrupted run writes. A line's values are means over the steps since the line before.

    Args:
        out: Folder of the training.
        step: Finished steps of the state that the training goes on from.
        sums: Sums since the last line, as `sums` gave them at that state.
    """

    def __init__(self, out: Path, *, step: int, sums: Mapping[str, float]) -> None:
        self._path = out / "metrics.jsonl"
        (out / "logs").mkdir(parents=True, exist_ok=True)
        _truncate(self._path, step)
        _truncate(out / "logs" / "timing.jsonl", step)
        self._file = self._path.open("ab")
        self._timing = (out / "logs" / "timing.jsonl").open("ab")
        self._board = SummaryWriter(str(out / "logs"), purge_step=step + 1)
        self._began = time.monotonic()
        self._line_began = self._began
        self.sums = dict(sums)

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._timing.close()
        self._board.close()

    def add(self, values: Mapping[str, float]) -> None:
        """Notes the values of a step."""
        for name, value in {**values, STEPS: 1.0}.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def write_line(self, *, step: int, epoch: int, num_items: int, facts: Mapping[str, float]) -> None:
        """Writes the means since the line before.

        Args:
            step: Finished steps.
            epoch: From 0, that the last of them belongs to.
            num_items: Clips that this process trained on since the line before.
            facts: Values of this moment, such as the learning rate.
        """
        count = self.sums.pop(STEPS)
        values = {name: total / count for name, total in self.sums.items()} | dict(facts)
        self.sums = {}
        shown = {name: value if math.isfinite(value) else None for name, value in values.items()}
        self._file.write(json.dumps({"step": step, "epoch": epoch, **shown}).encode() + b"\n")
        self._file.flush()
        now = time.monotonic()
        timing = {
            "step": step,
            "seconds": round(now - self._began, 3),
            "items_per_second": round(num_items / max(now - self._line_began, 1e-9), 3),
        }
        self._line_began = now
        self._timing.write(json.dumps(timing).encode() + b"\n")
        self._timing.flush()
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def sync(self) -> None:
        """Waits until every line is on the disk."""
        os.fsync(self._file.fileno())


def _truncate(path: Path, step: int) -> None:
    """Removes from a file of JSON lines everything after `step`, and a line that is not whole."""
    if not path.exists():
        return
    keep = 0
    with path.open("rb") as file:
        for line in file:
            try:
                if not line.endswith(b"\n") or json.loads(line)["step"] > step:
                    break
            except (ValueError, KeyError, TypeError):
                break
            keep += len(line)
    os.truncate(path, keep)
