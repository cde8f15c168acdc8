"""Finds scene cuts: frames whose colors differ from the frame before far more than neighboring frames do."""

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from mmssl.functional.color import rgb_to_lab
from mmssl.media.video import VideoFile

THUMBNAIL = (36, 64)
"""Height and width at which frames are compared."""

LEAST_CHANGE = 0.35
"""A smaller change is never a cut: fast motion and changes of light stay below."""

TIMES_USUAL = 3.0
"""A cut changes this many times more than the middle one of the frames around it."""

NEIGHBORS = 8
"""Frames to each side that say what change is usual."""


def find_cuts(video: VideoFile) -> tuple[int, ...]:
    """First frame of each shot of a video but the first one; reads the whole video at a small size."""
    return cuts_of(frame for _, frame in video.iterate(size=THUMBNAIL))


def cuts_of(frames: Iterable[UInt8[Tensor, "3 h w"]]) -> tuple[int, ...]:
    """First frame of each shot but the first one.

    The change from one frame to another is the mean of two numbers from 0 to 1: half the L1 distance of their Lab
    histograms, and the mean Lab distance of their pixels over 40, at most 1. A cut is a change of at least `LEAST_CHANGE`
    and `TIMES_USUAL` times the median of the changes around it, that is as large between the frames on either side of
    the two: a flash comes and goes.

    Args:
        frames: Of one video, in order, all of the same small size.
    """
    changes, lasting = _changes(frames)
    found = []
    for index in range(1, len(changes)):
        around = [*changes[max(1, index - NEIGHBORS) : index], *changes[index + 1 : index + 1 + NEIGHBORS]]
        usual = float(np.median(around)) if around else 0.0
        least = min(changes[index], lasting[index], lasting[index - 1] if index > 1 else lasting[index])
        if least >= max(LEAST_CHANGE, TIMES_USUAL * usual):
            found.append(index)
    return tuple(index for index in found if index - 1 not in found)


def _changes(frames: Iterable[Tensor]) -> tuple[list[float], list[float]]:
    """Change of each frame against the one before it, and of the frame after it against the one before it."""
    changes, lasting = [0.0], [0.0]
    memory: deque[tuple[Tensor, Tensor]] = deque(maxlen=3)
    for look in _looks(frames):
        memory.append(look)
        if len(memory) == 3:
            lasting.append(_change(memory[0], memory[2]))
        if len(memory) > 1:
            changes.append(_change(memory[-2], memory[-1]))
    lasting.append(changes[-1])
    return changes, lasting[: len(changes)]


def _looks(frames: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """Lab pixels and Lab histogram of each frame; the histogram has 8 parts of L and 10 each of a and b."""
    for frame in frames:
        lab: Float[Tensor, "3 pixels"] = rgb_to_lab(frame.float() / 255).flatten(1)
        light = (lab[0] / 100 * 8).long().clamp(0, 7)
        a, b = ((lab[1:] + 100) / 20).long().clamp(0, 9)
        histogram = torch.bincount((light * 10 + a) * 10 + b, minlength=800).float() / lab.shape[1]
        yield lab, histogram


def _change(before: tuple[Tensor, Tensor], after: tuple[Tensor, Tensor]) -> float:
    moved = float((before[0] - after[0]).square().sum(0).sqrt().mean()) / 40
    colors = float((before[1] - after[1]).abs().sum()) / 2
    return (min(1.0, moved) + colors) / 2
