"""Clips with the small changes that copies of a picture undergo on their way."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from mmssl.config import digest
from mmssl.data.dataset import ClipItem, ClipSource

Frames = UInt8[Tensor, "frames 3 height width"]


def _resized(frames: Tensor, size: Sequence[int]) -> Tensor:
    return interpolate(frames, tuple(size), mode="bilinear", antialias=True)


def smaller(frames: Frames) -> Frames:
    """Half the size and back: fine detail is gone."""
    size = frames.shape[-2:]
    return _resized(_resized(frames, [max(1, side // 2) for side in size]), size)


def trimmed(frames: Frames) -> Frames:
    """Without a twentieth at each edge, enlarged to the size before."""
    height, width = frames.shape[-2:]
    above, left = height // 20, width // 20
    return _resized(frames[..., above : height - above, left : width - left], (height, width))


def darker(frames: Frames) -> Frames:
    """At nine tenths of the brightness."""
    return (frames.float() * 0.9).round().to(torch.uint8)


def flatter(frames: Frames) -> Frames:
    """With nine tenths of the contrast, around middle gray."""
    return ((frames.float() - 128) * 0.9 + 128).round().to(torch.uint8)


EDITS: dict[str, Callable[[Frames], Frames]] = {
    "half the size": smaller,
    "a twentieth cut off": trimmed,
    "darker": darker,
    "less contrast": flatter,
}
"""Name of a change to what it does to the frames of a clip."""


class EditedClips:
    """The clips of a source, changed; a `ClipSource` itself.

    Args:
        source: Where the clips are.
        edit: Of `EDITS`.
    """

    def __init__(self, source: ClipSource, edit: str) -> None:
        self._source = source
        self._edit = edit

    @property
    def items(self) -> Sequence[ClipItem]:
        """Those of the source."""
        return self._source.items

    @property
    def digest(self) -> str:
        """Names the content, like the source's."""
        return digest([self._source.digest, self._edit])

    def __len__(self) -> int:
        return len(self._source)

    def clips(self, indices: Sequence[int], *, epoch: int = 0) -> UInt8[Tensor, "batch frames 3 height width"]:
        """The clips at some positions, changed."""
        clips = self._source.clips(indices, epoch=epoch)
        return EDITS[self._edit](clips.flatten(0, 1)).view_as(clips)
