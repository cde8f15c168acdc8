"""Samplers: which frames of a segment clips are made of, in seconds.

A sampler is a frozen dataclass of settings with a method `clips(segment, random, motion)`. Settings that several share:

- `num_frames`: Frames of a clip.
- `seconds_between_frames`: From one frame of a clip to the next.
- `num_clips`: Clips of a segment.
- `past_end`: What happens where a clip reaches past its segment's end; see `mmssl.media.segment`.
"""

from dataclasses import dataclass
from typing import Protocol, get_args, runtime_checkable

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from mmssl.config import Choice
from mmssl.errors import ConfigError
from mmssl.functional.random import ItemRandom
from mmssl.media.segment import TOLERANCE_SECONDS, PastEnd, Segment


@runtime_checkable
class Sampler(Protocol):
    """Which frames clips are made of."""

    @property
    def past_end(self) -> PastEnd:
        """See `mmssl.media.segment`."""

    def clips(self, segment: Segment, random: ItemRandom, motion: Float[Tensor, " frames"] | None) -> list[list[int]]:
        """Each clip's frame indices.

        Args:
            segment: Of one video.
            random: Random numbers of one item.
            motion: Mean absolute difference of each of the video's frames from the one before; given where the sampler
                has `needs_motion`.
        """


def sample_clips(
    sampler: Sampler,
    pts_seconds: Float64[Tensor, " frames"],
    *,
    start_seconds: int | float | None,
    end_seconds: int | float | None,
    random: ItemRandom,
    motion: Float[Tensor, " frames"] | None = None,
) -> list[list[int]]:
    """Frame indices of the clips that a sampler picks from a segment of a video.

    Args:
        sampler: Of `SAMPLERS`.
        pts_seconds: When each frame of the video is presented.
        start_seconds: Begin of the segment; None for the file's begin.
        end_seconds: End of the segment; None for the file's end.
        random: Random numbers of one item.
        motion: Mean absolute difference of each frame from the one before, for a sampler that has `needs_motion`.

    Raises:
        DecodeError: If the segment is empty, or it or a clip does not fit into the file and `past_end` is `error`.
    """
    return sampler.clips(Segment.of(pts_seconds, start_seconds, end_seconds, sampler.past_end), random, motion)


def _check(sampler: Sampler) -> None:
    """Refuses settings of a sampler that are out of range.

    Raises:
        ConfigError: Naming the setting.
    """
    for name, value in vars(sampler).items():
        if name == "past_end":
            if value not in get_args(PastEnd):
                raise ConfigError(f"past_end is {value!r}; it must be one of {get_args(PastEnd)}")
        elif value <= 0:
            raise ConfigError(f"{name} is {value}; it must be above 0")


@dataclass(frozen=True, kw_only=True)
class Uniform:
    """One clip over the whole segment: the middles of `num_frames` equal parts of it.

    A frame stands twice where the segment has fewer; `past_end` only matters for a segment whose end lies past the file's.
    """

    num_frames: int = 8
    past_end: PastEnd = "error"

    def __post_init__(self) -> None:
        _check(self)

    def clips(self, segment: Segment, random: ItemRandom, motion: Float[Tensor, " frames"] | None) -> list[list[int]]:
        """See `Sampler`."""
        step = segment.wanted_seconds / self.num_frames
        return [segment.frames([segment.start + (i + 0.5) * step for i in range(self.num_frames)])]


@dataclass(frozen=True, kw_only=True)
class Dense:
    """Clips of evenly spaced frames, spread evenly over the segment; a single one stands in its middle."""

    num_frames: int = 8
    seconds_between_frames: int | float = 0.1
    num_clips: int = 1
    past_end: PastEnd = "error"

    def __post_init__(self) -> None:
        _check(self)

    def clips(self, segment: Segment, random: ItemRandom, motion: Float[Tensor, " frames"] | None) -> list[list[int]]:
        """See `Sampler`."""
        room = segment.room_seconds(self.num_frames, self.seconds_between_frames)
        starts = [segment.start + room * (i + 0.5) / self.num_clips for i in range(self.num_clips)]
        return segment.clips(starts, self.num_frames, self.seconds_between_frames)


@dataclass(frozen=True, kw_only=True)
class Random:
    """Clips of evenly spaced frames that begin at random moments."""

    num_frames: int = 8
    seconds_between_frames: int | float = 0.1
    num_clips: int = 1
    past_end: PastEnd = "error"

    def __post_init__(self) -> None:
        _check(self)

    def clips(self, segment: Segment, random: ItemRandom, motion: Float[Tensor, " frames"] | None) -> list[list[int]]:
        """See `Sampler`; in the order drawn."""
        room = segment.room_seconds(self.num_frames, self.seconds_between_frames)
        drawn = random.uniform("sampler/start", (self.num_clips,))[0].tolist()
        starts = [segment.start + room * unit for unit in drawn]
        return segment.clips(starts, self.num_frames, self.seconds_between_frames)


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Clips of evenly spaced frames that begin every `seconds_between_clips` and lie whole within the segment.

    The `past_end` only matters for a segment too short for one clip.
    """

    num_frames: int = 8
    seconds_between_frames: int | float = 0.1
    seconds_between_clips: int | float = 1.0
    past_end: PastEnd = "error"

    def __post_init__(self) -> None:
        _check(self)

    def clips(self, segment: Segment, random: ItemRandom, motion: Float[Tensor, " frames"] | None) -> list[list[int]]:
        """See `Sampler`; ascending in time."""
        room = segment.room_seconds(self.num_frames, self.seconds_between_frames)
        count = int(room / self.seconds_between_clips + TOLERANCE_SECONDS) + 1
        starts = [segment.start + i * self.seconds_between_clips for i in range(count)]
        return segment.clips(starts, self.num_frames, self.seconds_between_frames)


@dataclass(frozen=True, kw_only=True)
class Motion:
    """Clips of evenly spaced frames that begin at random, more often where much moves.

    A clip may begin at each frame that leaves it room; its weight is the mean motion of the frames it spans.
    """

    num_frames: int = 8
    seconds_between_frames: int | float = 0.1
    num_clips: int = 1
    past_end: PastEnd = "error"

    needs_motion = True

    def __post_init__(self) -> None:
        _check(self)

    def clips(self, segment: Segment, random: ItemRandom, motion: Float[Tensor, " frames"] | None) -> list[list[int]]:
        """See `Sampler`; in the order drawn."""
        if motion is None:
            raise ConfigError("the motion sampler needs each frame's motion; see mmssl.data.decoding.frame_motion")
        pts_seconds = segment.pts_seconds
        room = segment.room_seconds(self.num_frames, self.seconds_between_frames)
        span = (self.num_frames - 1) * self.seconds_between_frames
        begins = pts_seconds.clamp(min=segment.start)
        first = torch.searchsorted(pts_seconds, begins + TOLERANCE_SECONDS, right=True)
        after = torch.searchsorted(pts_seconds, begins + span + TOLERANCE_SECONDS, right=True)
        total = torch.cat([torch.zeros(1, dtype=torch.float64), motion.to(torch.float64).cumsum(0)])
        weight = (total[after] - total[first]) / (after - first).clamp(min=1)
        ends = torch.cat([pts_seconds[1:], pts_seconds.new_tensor([segment.end])])
        fits = (ends > segment.start) & (begins <= segment.start + room + TOLERANCE_SECONDS)
        weight = torch.where(fits, weight.clamp(min=0), 0)
        if not bool(weight.sum() > 0):
            weight = fits.to(torch.float64)
        steps = weight.cumsum(0)
        drawn = random.uniform("sampler/start", (self.num_clips,))[0].to(torch.float64) * steps[-1]
        chosen = torch.searchsorted(steps, drawn, right=True).clamp(max=len(steps) - 1)
        return segment.clips(begins[chosen].tolist(), self.num_frames, self.seconds_between_frames)


SAMPLERS = {"uniform": Uniform, "random": Random, "dense": Dense, "windows": Windows, "motion": Motion}
SAMPLER_CHOICE = Choice(SAMPLERS, "sampler", provided=("num_frames",))
