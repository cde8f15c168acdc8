"""What an evaluation cost: rows that differ from run to run, so that they are given only where asked for."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject
from mmssl.propagation.cost import Cost, peak_memory_mib


@dataclass(frozen=True)
class FrameTime:
    """Seconds a frame of one video.

    Args:
        wall: By the clock: other programs on the machine lengthen it.
        processor: Of all threads together.
    """

    wall: float
    processor: float

    @staticmethod
    def of(cost: Cost) -> "FrameTime":
        """Of a propagation."""
        frames = max(1, cost.frames)
        return FrameTime(cost.seconds_in_all / frames, cost.processor_seconds / frames)


def cost_rows(
    subject: Subject, evaluation: str, times: Mapping[str, FrameTime], *, split: str, protocol: str
) -> list[ReportRow]:
    """Three rows: mean time a frame by the clock and of the processor, and the most memory that the process has held.

    Args:
        subject: What was scored.
        evaluation: Name in `EVALUATIONS`.
        times: Of each video that was done now.
        split: The split that was scored.
        protocol: Of the scores.
    """
    protocol = f"{protocol}; {torch.get_num_threads()} threads on {subject.device}"
    columns = {
        "seconds a frame": {key: time.wall for key, time in times.items()},
        "processor seconds a frame": {key: time.processor for key, time in times.items()},
    }
    return [
        *(
            subject.row(
                evaluation,
                metric,
                sum(seconds.values()) / len(seconds) if seconds else None,
                protocol=f"{protocol}; times with decoding",
                detail={"sequences": seconds},
                split=split,
                num_items=len(seconds),
            )
            for metric, seconds in columns.items()
        ),
        subject.row(
            evaluation,
            "peak memory in MiB",
            peak_memory_mib(),
            protocol=f"{protocol}; largest resident memory of the process up to the end of the evaluation",
            split=split,
            num_items=len(times),
        ),
    ]
