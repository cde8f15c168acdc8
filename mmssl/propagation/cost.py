"""What a propagation cost: where the time went, and the memory."""

import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass

PARTS = {
    "cuts": "finding cuts",
    "features": "filling the feature cache",
    "decode": "waiting for frames",
    "encode": "encoding",
    "propagate": "propagating",
    "write": "waiting for the disk",
    "results": "tables, pictures and exports",
}
"""Parts of the work in order, and what a person calls them. Decoding and writing run beside the others; what is counted of
them is how long the others waited."""


@dataclass(frozen=True)
class Cost:
    """Time and memory of a propagation.

    Args:
        frames: Frames that labels were carried to, counted once for each group of objects that goes together.
        seconds_in_all: Wall-clock time.
        processor_seconds: Time of the processor, of all threads together.
        seconds: The wall-clock time by `PARTS`.
        peak_memory_mib: Largest resident memory of the process up to now.
    """

    frames: int
    seconds_in_all: float
    processor_seconds: float
    seconds: Mapping[str, float]
    peak_memory_mib: float

    @property
    def seconds_per_frame(self) -> float:
        """Wall-clock time a frame."""
        return self.seconds_in_all / max(1, self.frames)

    def __str__(self) -> str:
        parts = [
            f"{name} {self.seconds[part]:.1f} s" for part, name in PARTS.items() if self.seconds.get(part, 0) >= 0.05
        ]
        return (
            f"{self.frames} frames in {self.seconds_in_all:.1f} s, {self.seconds_per_frame:.3g} s a frame"
            f"{': ' if parts else ''}{', '.join(parts)}; peak memory {self.peak_memory_mib:.0f} MiB"
        )


def peak_memory_mib() -> float:
    """Largest resident memory of this process so far, in MiB; earlier work of the same process counts."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
