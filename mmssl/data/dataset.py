"""Where training, embedding and evaluation take clips from, stored or decoded as they are asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from mmssl.config import digest
from mmssl.errors import ConfigError
from mmssl.media.clip import Footage


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
    """Clips of one length and size, by position.

    One of sound also has `sample_rate`, see `sample_rate_of`. One of pictures with the sound of the same time has `sound_rate`
    and `sounds(indices, epoch=0)`, see `footage_of`; without these it is as any other of pictures.
    """

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


def sound_rate_of(source: ClipSource) -> int | None:
    """Hertz of the sound beside a source's pictures; None where there is none."""
    rate: int | None = getattr(source, "sound_rate", None)
    return rate


def sounds_of(source: ClipSource, indices: Sequence[int], *, epoch: int = 0) -> Float32[Tensor, "batch 1 samples"]:
    """The sound beside the pictures of some clips.

    Raises:
        ConfigError: If the source has none.
    """
    if sound_rate_of(source) is None:
        raise ConfigError(
            "this needs clips of pictures with the sound of the same time; set both size and sound in the decode stage"
        )
    sounds: Float32[Tensor, "batch 1 samples"] = source.sounds(indices, epoch=epoch)  # type: ignore[attr-defined]
    return sounds


def footage_of(source: ClipSource, indices: Sequence[int], *, epoch: int = 0) -> Footage:
    """Pictures and sound of some clips.

    Raises:
        ConfigError: If the source has no sound beside its pictures.
    """
    sounds, items = sounds_of(source, indices, epoch=epoch), source.items
    times = torch.tensor([items[index].pts_seconds for index in indices], dtype=torch.float64)
    return Footage(source.clips(indices, epoch=epoch), times - times[:, :1], sounds, sound_rate_of(source) or 0)


def check_positions(indices: Sequence[int], length: int) -> None:
    """Refuses positions that a source of clips does not have, negative ones among them.

    Raises:
        IndexError: If there is one.
    """
    for index in indices:
        if not 0 <= index < length:
            raise IndexError(f"clip {index} of {length}")


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

    @property
    def sound_rate(self) -> int | None:
        """See `sound_rate_of`."""
        return sound_rate_of(self._source)

    def sounds(self, indices: Sequence[int], *, epoch: int = 0) -> Float32[Tensor, "batch 1 samples"]:
        """The sound beside the clips at some positions of the subset."""
        return sounds_of(self._source, [self._indices[index] for index in indices], epoch=epoch)

    def __len__(self) -> int:
        return len(self._indices)

    def clips(self, indices: Sequence[int], *, epoch: int = 0) -> Clips:
        """The clips at some positions of the subset."""
        return self._source.clips([self._indices[index] for index in indices], epoch=epoch)
