"""A segment of a video, and the frames on screen in it.

The frame on screen at a moment is the last one presented at or before it; before the first frame, the first. What happens
where a clip reaches past the end of its segment is named by `past_end`: `error`; `repeat_last` (the last frame stays);
`loop` (the segment starts again); `shorten` (only the moments within the segment count, so a clip may hold fewer frames).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float64
from torch import Tensor

from mmssl.errors import DecodeError

PastEnd = Literal["error", "repeat_last", "loop", "shorten"]
"""Policies for clips that reach past the end of their segment."""

TOLERANCE_SECONDS = 1e-6
"""Moments that are closer than this are the same."""


@dataclass(frozen=True, eq=False)
class Segment:
    """Part of a video between two moments, perhaps shorter in the file than its row says.

    Args:
        pts_seconds: When each frame of the video is presented.
        start: Its begin.
        end: Its end in the file.
        wanted_seconds: How long it is by its row.
        past_end: What happens where a clip reaches past `end`.
    """

    pts_seconds: Float64[Tensor, " frames"]
    start: int | float
    end: int | float
    wanted_seconds: int | float
    past_end: PastEnd

    @staticmethod
    def of(
        pts_seconds: Float64[Tensor, " frames"],
        start_seconds: int | float | None,
        end_seconds: int | float | None,
        past_end: PastEnd,
    ) -> "Segment":
        """The segment between two moments; None stands for the file's begin and for its end.

        Raises:
            DecodeError: If it is empty, begins behind the file's end, or ends there and `past_end` is `error`.
        """
        if len(pts_seconds) == 0:
            raise DecodeError("there are no frames to sample from")
        gap = float(pts_seconds.diff().median()) if len(pts_seconds) > 1 else 0.04
        file_end = float(pts_seconds[-1]) + gap
        begin = float(pts_seconds[0]) if start_seconds is None else start_seconds
        finish = file_end if end_seconds is None else end_seconds
        if not begin < finish:
            raise DecodeError(f"the segment from {begin:.3f} s to {finish:.3f} s is empty")
        if begin >= file_end:
            raise DecodeError(f"the segment begins at {begin:.3f} s, but the file ends at {file_end:.3f} s")
        if finish > file_end + gap and past_end == "error":
            raise DecodeError(
                f"the segment ends at {finish:.3f} s, but the file at {file_end:.3f} s; "
                "set past_end to repeat_last, loop or shorten, or correct the row"
            )
        return Segment(pts_seconds, begin, min(finish, file_end), finish - begin, past_end)

    def room_seconds(self, num_frames: int, seconds_between_frames: int | float) -> float:
        """How much later than the segment's begin a clip may start and still fit; 0 where the policy has to help.

        Raises:
            DecodeError: If the clip does not fit and `past_end` is `error`.
        """
        room = self.end - self.start - (num_frames - 1) * seconds_between_frames
        if room <= 0 and self.past_end == "error":
            raise DecodeError(
                f"a clip of {num_frames} frames {seconds_between_frames} s apart does not fit into the "
                f"{self.end - self.start:.3f} s from {self.start:.3f} s; set past_end to repeat_last, loop or shorten, "
                "or ask for less"
            )
        return float(max(room, 0))

    def clips(
        self, starts: Sequence[int | float], num_frames: int, seconds_between_frames: int | float
    ) -> list[list[int]]:
        """Frame indices of clips of evenly spaced frames that begin at some moments."""
        return [self.frames([start + i * seconds_between_frames for i in range(num_frames)]) for start in starts]

    def frames(self, moments: Sequence[int | float]) -> list[int]:
        """The frame on screen at each moment, by the policy where it lies past the end."""
        length = self.end - self.start
        last = self.end - 2 * TOLERANCE_SECONDS
        if self.past_end == "loop":
            moments = [self.start + (moment - self.start) % length for moment in moments]
        elif self.past_end == "shorten":
            moments = [moment for moment in moments if moment < self.end - TOLERANCE_SECONDS] or [self.start]
        moments = [min(moment, last) for moment in moments]
        times = torch.tensor(moments, dtype=torch.float64) + TOLERANCE_SECONDS
        found: list[int] = (torch.searchsorted(self.pts_seconds, times, right=True) - 1).clamp(min=0).tolist()
        return found
