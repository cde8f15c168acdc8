"""Which frames a clip is made of: moments in seconds, and for each the frame on screen at that moment.

The frame on screen at a moment is the last one presented at or before it; before the first frame, the first. What happens
where a clip reaches past the end of its segment is named by `past_end`: `error`; `repeat_last` (the last frame stays);
`loop` (the segment starts again); `shorten` (only the moments within the segment count, so a clip may hold fewer frames).
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from mmssl.config import Choice
from mmssl.errors import ConfigError, DecodeError
from mmssl.functional.random import ItemRandom

PastEnd = Literal["error", "repeat_last", "loop", "shorten"]
"""Policies for clips that reach past the end of their segment."""

_TOLERANCE_SECONDS = 1e-6


@dataclass(frozen=True, kw_only=True)
class Uniform:
    """One clip over the whole segment: the middles of `num_frames` equal parts of it.

    Args:
        num_frames: Frames of the clip; a frame stands twice where the segment has fewer.
        past_end: Only matters for a segment whose end lies past the file's; see the module.
    """

    num_frames: int = 8
    past_end: PastEnd = "error"

    def __post_init__(self) -> None:
        _check(self.past_end, num_frames=self.num_frames)

    def __call__(
        self,
        pts_seconds: Float64[Tensor, " frames"],
        *,
        start_seconds: int | float | None,
        end_seconds: int | float | None,
        random: ItemRandom,
        motion: Float[Tensor, " frames"] | None = None,
    ) -> list[list[int]]:
        """One clip's frame indices."""
        segment = _Segment.of(pts_seconds, start_seconds, end_seconds, self.past_end)
        step = segment.wanted_seconds / self.num_frames
        return [segment.frames([segment.start + (i + 0.5) * step for i in range(self.num_frames)])]


@dataclass(frozen=True, kw_only=True)
class Dense:
    """Clips of evenly spaced frames, spread evenly over the segment; a single one stands in its middle.

    Args:
        num_frames: Frames of a clip.
        seconds_between_frames: From one frame of a clip to the next.
        num_clips: Clips of a segment.
        past_end: See the module.
    """

    num_frames: int = 8
    seconds_between_frames: int | float = 0.1
    num_clips: int = 1
    past_end: PastEnd = "error"

    def __post_init__(self) -> None:
        _check(
            self.past_end,
            num_frames=self.num_frames,
            num_clips=self.num_clips,
            seconds_between_frames=self.seconds_between_frames,
        )

    def __call__(
        self,
        pts_seconds: Float64[Tensor, " frames"],
        *,
        start_seconds: int | float | None,
        end_seconds: int | float | None,
        random: ItemRandom,
        motion: Float[Tensor, " frames"] | None = None,
    ) -> list[list[int]]:
        """Each clip's frame indices."""
        segment = _Segment.of(pts_seconds, start_seconds, end_seconds, self.past_end)
        room = segment.room_seconds(self.num_frames, self.seconds_between_frames)
        starts = [segment.start + room * (i + 0.5) / self.num_clips for i in range(self.num_clips)]
        return [segment.clip(start, self.num_frames, self.seconds_between_frames) for start in starts]


@dataclass(frozen=True, kw_only=True)
class Random:
    """Clips of evenly spaced frames that begin at random moments.

    Args:
        num_frames: Frames of a clip.
        seconds_between_frames: From one frame of a clip to the next.
        num_clips: Clips of a segment.
        past_end: See the module.
    """

    num_frames: int = 8
    seconds_between_frames: int | float = 0.1
    num_clips: int = 1
    past_end: PastEnd = "error"

    def __post_init__(self) -> None:
        _check(
            self.past_end,
            num_frames=self.num_frames,
            num_clips=self.num_clips,
            seconds_between_frames=self.seconds_between_frames,
        )

    def __call__(
        self,
        pts_seconds: Float64[Tensor, " frames"],
        *,
        start_seconds: int | float | None,
        end_seconds: int | float | None,
        random: ItemRandom,
        motion: Float[Tensor, " frames"] | None = None,
    ) -> list[list[int]]:
        """Each clip's frame indices, in the order drawn."""
        segment = _Segment.of(pts_seconds, start_seconds, end_seconds, self.past_end)
        room = segment.room_seconds(self.num_frames, self.seconds_between_frames)
        drawn = random.uniform("sampler/start", (self.num_clips,))[0].tolist()
        return [
            segment.clip(segment.start + room * unit, self.num_frames, self.seconds_between_frames) for unit in drawn
        ]


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Clips of evenly spaced frames that begin at regular moments and lie whole within the segment.

    Args:
        num_frames: Frames of a clip.
        seconds_between_frames: From one frame of a clip to the next.
        seconds_between_clips: From the begin of one clip to the next's.
        past_end: For a segment too short for one clip; see the module.
    """

    num_frames: int = 8
    seconds_between_frames: int | float = 0.1
    seconds_between_clips: int | float = 1.0
    past_end: PastEnd = "error"

    def __post_init__(self) -> None:
        _check(
            self.past_end,
            num_frames=self.num_frames,
            seconds_between_frames=self.seconds_between_frames,
            seconds_between_clips=self.seconds_between_clips,
        )

    def __call__(
        self,
        pts_seconds: Float64[Tensor, " frames"],
        *,
        start_seconds: int | float | None,
        end_seconds: int | float | None,
        random: ItemRandom,
        motion: Float[Tensor, " frames"] | None = None,
    ) -> list[list[int]]:
        """Each clip's frame indices, ascending in time."""
        segment = _Segment.of(pts_seconds, start_seconds, end_seconds, self.past_end)
        room = segment.room_seconds(self.num_frames, self.seconds_between_frames)
        count = int(room / self.seconds_between_clips + _TOLERANCE_SECONDS) + 1
        return [
            segment.clip(segment.start + i * self.seconds_between_clips, self.num_frames, self.seconds_between_frames)
            for i in range(count)
        ]


@dataclass(frozen=True, kw_only=True)
class Motion:
    """Clips of evenly spaced frames that begin at random, more often where much moves.

    A clip may begin at each frame that leaves it room; its weight is the mean motion of the frames it spans.

    Args:
        num_frames: Frames of a clip.
        seconds_between_frames: From one frame of a clip to the next.
        num_clips: Clips of a segment.
        past_end: See the module.
    """

    num_frames: int = 8
    seconds_between_frames: int | float = 0.1
    num_clips: int = 1
    past_end: PastEnd = "error"

    needs_motion = True

    def __post_init__(self) -> None:
        _check(
            self.past_end,
            num_frames=self.num_frames,
            num_clips=self.num_clips,
            seconds_between_frames=self.seconds_between_frames,
        )

    def __call__(
        self,
        pts_seconds: Float64[Tensor, " frames"],
        *,
        start_seconds: int | float | None,
        end_seconds: int | float | None,
        random: ItemRandom,
        motion: Float[Tensor, " frames"] | None = None,
    ) -> list[list[int]]:
        """Each clip's frame indices; `motion` holds each frame's mean absolute difference from the one before."""
        if motion is None:
            raise ConfigError("the motion sampler needs each frame's motion; see mmssl.data.decoding.frame_motion")
        segment = _Segment.of(pts_seconds, start_seconds, end_seconds, self.past_end)
        room = segment.room_seconds(self.num_frames, self.seconds_between_frames)
        span = (self.num_frames - 1) * self.seconds_between_frames
        begins = pts_seconds.clamp(min=segment.start)
        first = torch.searchsorted(pts_seconds, begins + _TOLERANCE_SECONDS, right=True)
        after = torch.searchsorted(pts_seconds, begins + span + _TOLERANCE_SECONDS, right=True)
        total = torch.cat([torch.zeros(1, dtype=torch.float64), motion.to(torch.float64).cumsum(0)])
        weight = (total[after] - total[first]) / (after - first).clamp(min=1)
        ends = torch.cat([pts_seconds[1:], pts_seconds.new_tensor([segment.end])])
        fits = (ends > segment.start) & (begins <= segment.start + room + _TOLERANCE_SECONDS)
        weight = torch.where(fits, weight.clamp(min=0), 0)
        if not bool(weight.sum() > 0):
            weight = fits.to(torch.float64)
        steps = weight.cumsum(0)
        drawn = random.uniform("sampler/start", (self.num_clips,))[0].to(torch.float64) * steps[-1]
        chosen = torch.searchsorted(steps, drawn, right=True).clamp(max=len(steps) - 1)
        return [segment.clip(start, self.num_frames, self.seconds_between_frames) for start in begins[chosen].tolist()]


SAMPLERS = {"uniform": Uniform, "random": Random, "dense": Dense, "windows": Windows, "motion": Motion}
SAMPLER_CHOICE = Choice(SAMPLERS, "sampler")


@dataclass(frozen=True)
class _Segment:
    """Part of a video between two moments, `wanted_seconds` long by its row and perhaps shorter in the file."""

    pts_seconds: Tensor
    start: int | float
    end: int | float
    wanted_seconds: int | float
    past_end: PastEnd

    @staticmethod
    def of(pts_seconds: Tensor, start: int | float | None, end: int | float | None, past_end: PastEnd) -> "_Segment":
        if len(pts_seconds) == 0:
            raise DecodeError("there are no frames to sample from")
        gap = float(pts_seconds.diff().median()) if len(pts_seconds) > 1 else 0.04
        file_end = float(pts_seconds[-1]) + gap
        begin = float(pts_seconds[0]) if start is None else start
        finish = file_end if end is None else end
        if not begin < finish:
            raise DecodeError(f"the segment from {begin:.3f} s to {finish:.3f} s is empty")
        if begin >= file_end:
            raise DecodeError(f"the segment begins at {begin:.3f} s, but the file ends at {file_end:.3f} s")
        if finish > file_end + gap and past_end == "error":
            raise DecodeError(
                f"the segment ends at {finish:.3f} s, but the file at {file_end:.3f} s; "
                "set past_end to repeat_last, loop or shorten, or correct the row"
            )
        return _Segment(pts_seconds, begin, min(finish, file_end), finish - begin, past_end)

    def room_seconds(self, num_frames: int, seconds_between_frames: int | float) -> float:
        """How much later than the segment's begin a clip may start and still fit; 0 where the policy has to help."""
        room = self.end - self.start - (num_frames - 1) * seconds_between_frames
        if room <= 0 and self.past_end == "error":
            raise DecodeError(
                f"a clip of {num_frames} frames {seconds_between_frames} s apart does not fit into the "
                f"{self.end - self.start:.3f} s from {self.start:.3f} s; set past_end to repeat_last, loop or shorten, "
                "or ask for less"
            )
        return float(max(room, 0))

    def clip(self, start: int | float, num_frames: int, seconds_between_frames: int | float) -> list[int]:
        return self.frames([start + i * seconds_between_frames for i in range(num_frames)])

    def frames(self, moments: list) -> list[int]:
        """The frame on screen at each moment, by the policy where it lies past the end."""
        length = self.end - self.start
        last = self.end - 2 * _TOLERANCE_SECONDS
        if self.past_end == "loop":
            moments = [self.start + (moment - self.start) % length for moment in moments]
        elif self.past_end == "shorten":
            moments = [moment for moment in moments if moment < self.end - _TOLERANCE_SECONDS] or [self.start]
        moments = [min(moment, last) for moment in moments]
        times = torch.tensor(moments, dtype=torch.float64) + _TOLERANCE_SECONDS
        found: list[int] = (torch.searchsorted(self.pts_seconds, times, right=True) - 1).clamp(min=0).tolist()
        return found


def _check(past_end: str, **positive: int | float) -> None:
    if past_end not in get_args(PastEnd):
        raise ConfigError(f"past_end is {past_end!r}; it must be one of {get_args(PastEnd)}")
    for name, value in positive.items():
        if value <= 0:
            raise ConfigError(f"{name} is {value}; it must be above 0")
