"""What an evaluation cost: rows that differ from run to run, so that they are given only where asked for."""

from collections.abc import Mapping

import torch

from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject
from mmssl.propagation.cost import peak_memory_mib


def cost_rows(
    subject: Subject, evaluation: str, seconds: Mapping[str, float], *, split: str, protocol: str
) -> list[ReportRow]:
    """Two rows: mean time a frame, and the most memory that the process has held.

    Args:
        subject: What was scored.
        evaluation: Name in `EVALUATIONS`.
        seconds: Time a frame of each video that was done now.
        split: The split that was scored.
        protocol: Of the scores.
    """
    protocol = f"{protocol}; {torch.get_num_threads()} threads on {subject.device}"
    return [
        subject.row(
            evaluation,
            "seconds a frame",
            sum(seconds.values()) / len(seconds) if seconds else None,
            protocol=f"{protocol}; wall-clock time with decoding",
            detail={"sequences": dict(seconds)},
            split=split,
            num_items=len(seconds),
        ),
        subject.row(
            evaluation,
            "peak memory in MiB",
            peak_memory_mib(),
            protocol=f"{protocol}; largest resident memory of the process up to the end of the evaluation",
            split=split,
            num_items=len(seconds),
        ),
    ]
