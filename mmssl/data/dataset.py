"""Where training, embedding and evaluation take clips from, stored or decoded as they are asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float32, UInt8
from torch import Tensor

from mmssl.config import digest


@dataclass(frozen=True, slots=True)
class ClipItem:
    """What is known of a clip besides its pixels.

    Args:
        id: Unique in its source: the row's id, `#`, and the clip's number within the row.
        row_id: Manifest row it was sampled from.
        label: The row's, like `split`, `group` and `caption`.
        split: See `ManifestRow`.
        group: See `ManifestRow`; the row's id where the manifest gives none.
        caption: See `ManifestRow`.
        pts_seconds: Presentation time of each frame on the file's time axis.
    """

    id: str
    row_id: str
    label: str | None
    split: str | None
    group: str
    caption: str | None
    pts_seconds: tuple[float, ...]

    @property
    def captions(self) -> list[str]:
        """The sentences of the caption, one a line, without empty ones."""
        return [line for line in (" ".join(line.split()) for line in (self.caption or "").splitlines()) if line]


Clips = UInt8[Tensor, "batch frames 3 height width"] | Float32[Tensor, "batch frames 1 samples"]
"""A batch of clips: RGB pictures, or windows of sound."""


@runtime_checkable
class ClipSource(Protocol):
    """Clips of one length and size, by position. One of sound also has `sample_rate`, see `sample_rate_of`."""

    @property
    def items(self) -> Sequence[ClipItem]:
        """One for each clip."""

    @property
    def digest(self) -> str:
        """Names the content: two sources with one digest hold the same clips."""

    def __len__(self) -> int:
        """Number of clips."""

    def clips(self, indices: Sequence[int], *, epoch: int = 0) -> Clips:
        """The clips at some positions; a source that samples anew each epoch uses `epoch`, a stored one does not."""


def sample_rate_of(source: ClipSource) -> int | None:
    """Hertz of a source of sound; None of one of pictures."""
    rate: int | None = getattr(source, "sample_rate", None)
    return rate


def evenly_spaced(length: int, count: int) -> list[int]:
    """Up to `count` positions of a sequence, from its first to its last, each once."""
    count = min(count, length)
    return [round(number * (length - 1) / max(1, count - 1)) for number in range(count)]


class SubsetClips:
    """Some clips of a source, in a given order; a `ClipSource` itself.

    Args:
        source: Where the clips are.
        indices: Their positions there.
    """

    def __init__(self, source: ClipSource, indices: Sequence[int]) -> None:
        self._source = source
        self._indices = tuple(indices)

    @property
    def items(self) -> Sequence[ClipItem]:
        """One for each clip of the subset."""
        items = self._source.items
        return [items[index] for index in self._indices]

    @property
    def digest(self) -> str:
        """Names the content, like the source's."""
        return digest([self._source.digest, self._indices])

    @property
    def sample_rate(self) -> int | None:
        """See `sample_rate_of`."""
        return sample_rate_of(self._source)

    def __len__(self) -> int:
        return len(self._indices)

    def clips(self, indices: Sequence[int], *, epoch: int = 0) -> Clips:
        """The clips at some positions of the subset."""
        return self._source.clips([self._indices[index] for index in indices], epoch=epoch)
