"""Works through the segments of a group of objects: walks, fuses, and writes masks and rows as they come."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mmssl.config import digest
from mmssl.files import atomic_file
from mmssl.media.video import VideoFile
from mmssl.propagation.channels import Channels
from mmssl.propagation.confidence import REASONS, confidence, weakest_sign
from mmssl.propagation.frame_encoder import FeatureSource
from mmssl.propagation.frame_writer import Carried, FrameWriter
from mmssl.propagation.fusion import fuse
from mmssl.propagation.point_follower import PointRule
from mmssl.propagation.rows import from_line
from mmssl.propagation.segments import Group, Segment
from mmssl.propagation.state import State
from mmssl.propagation.streaming import InOrder
from mmssl.propagation.walk import FADED, FADED_POINT, Step, Walk

QUEUE_FRAMES = 8
"""Frames whose results may wait to be written."""

DISAGREE = "the passes from both sides disagree"


@dataclass(frozen=True)
class Settings:
    """What holds for all segments.

    Args:
        batch_size: Frames encoded together.
        plain: See `Walk`.
        soft_masks: Whether to write soft masks.
        points: How points are followed.
    """

    batch_size: int
    plain: bool
    soft_masks: bool
    points: PointRule


class Carrier:
    """Carries one group of objects through its segments.

    A segment that is done has a file in `segments/` with a line a frame, named by a digest of all it was made of.

    Args:
        source: The video.
        encode: Gives the features of its frames.
        channels: Of the group's objects.
        group: The objects, their labels and segments.
        out: Output folder.
        state: For going on after an interruption.
        settings: What holds for all segments.
        record: Digest of the video and the settings.
        seconds: Time spent on each kind of work is added here.
    """

    def __init__(
        self,
        source: VideoFile,
        encode: FeatureSource,
        channels: Channels,
        group: Group,
        *,
        out: Path,
        state: State,
        settings: Settings,
        record: str,
        seconds: defaultdict[str, float],
    ) -> None:
        self._source, self._encode, self._channels, self._group = source, encode, channels, group
        self._out, self._state, self._settings, self._record = out, state, settings, record
        self._rows, self._backward = state.folder / "rows.jsonl", state.folder / "backward.bin"
        self._seconds = seconds
        self._files = FrameWriter(channels, group, out, soft_masks=settings.soft_masks)

    def file(self, segment: Segment) -> Path:
        """Where the rows of a segment lie once it is done."""
        whole = digest({"record": self._record, "segment": self._group.digest(segment)})
        return self._out / "segments" / f"{segment.start:06}-{segment.stop:06}-{whole}.jsonl"

    def files(self) -> list[Path]:
        """The files of all segments, done or not."""
        return [self.file(segment) for segment in self._group.segments]

    def pending(self) -> list[Segment]:
        """Segments that are not done."""
        return [segment for segment in self._group.segments if not self.file(segment).is_file()]

    def lines(self) -> Iterator[str]:
        """The rows of all frames, in order; all segments must be done."""
        for segment in self._group.segments:
            with self.file(segment).open(encoding="utf-8") as file:
                for line in file:
                    yield line.rstrip("\n")

    def run(self, segment: Segment, advance: Callable[[], None]) -> None:
        """Does a segment, or what is left of it.

        Args:
            segment: One of the group's.
            advance: Called once for each frame that is finished.
        """
        self._state.folder.mkdir(parents=True, exist_ok=True)
        work = self.file(segment).stem
        first = segment.start + (segment.before is not None)
        forward = bool(self._ids() & self._group.present(segment.before)) and first < segment.stop
        backward = bool(self._ids() & self._group.present(segment.after)) and first < segment.stop
        done, _ = self._state.load(f"{work} forward" if forward else f"{work} backward")
        if forward and backward and done == 0:
            self._store_backward(segment, first, f"{work} backward")
        self._keep_lines(done + (segment.before is not None) if done else 0)
        with self._rows.open("a", encoding="utf-8") as rows, InOrder(QUEUE_FRAMES) as writer:
            if done == 0 and segment.before is not None:
                self._files.labeled(segment.before, rows)
                advance()
            if not forward and not backward:
                for index in range(first, segment.stop):
                    self._files.nothing(index, segment, rows)
                    advance()
            else:
                start = segment.before if forward else segment.after
                stop = segment.stop - 1 if forward else first
                assert start is not None
                other = segment.after if forward else segment.before
                walk = self._walk(start, stop, f"{work} forward" if forward else f"{work} backward", other=other)
                for steps in walk.batches():
                    apart = self._channels.margins(
                        [(self._group.frames[frame], labels) for frame, labels in walk.labeled.items()]
                    )
                    for step in steps:
                        carried = self._fused(step, segment) if forward and backward else self._alone(step)
                        carried = replace(carried, margins=apart)
                        self._timed_submit(writer, self._files.propagated, carried, segment, rows)
                        advance()
                    last = abs(steps[-1].index - start)
                    kept = walk.memory
                    writer.submit(self._save, rows, f"{work} forward" if forward else f"{work} backward", last, kept)
                self._add(walk.seconds)
        self._finish(segment)

    def _ids(self) -> frozenset[int]:
        return frozenset(each.id for each in self._group.objects)

    def _walk(self, start: int, stop: int, work: str, *, other: int | None) -> Walk:
        """A walk from a labeled frame, for which the one at the other end of the segment, if any, is context too."""
        done, memory = self._state.load(work)
        anchor = None if other is None else (other, self._channels.encode(self._group.frames[other]))
        return Walk(
            self._source,
            self._encode,
            self._channels,
            self._channels.encode(self._group.frames[start]),
            start=start,
            stop=stop,
            batch_size=self._settings.batch_size,
            anchor=anchor,
            plain=self._settings.plain,
            points=self._settings.points,
            done=done,
            memory=memory,
        )

    def _store_backward(self, segment: Segment, first: int, work: str) -> None:
        """Walks from the end of a segment to its beginning and leaves the labels on the disk, for the way there."""
        assert segment.after is not None
        walk = self._walk(segment.after, first, work, other=segment.before)
        with self._backward.open("r+b" if self._backward.exists() else "w+b") as file:
            for steps in walk.batches():
                for step in steps:
                    file.seek((segment.after - step.index - 1) * self._record_bytes)
                    file.write(step.labels.half().cpu().numpy().tobytes())
                    file.write(self._confidences(step).numpy().tobytes())
                file.flush()
                self._state.save(work, segment.after - steps[-1].index, walk.memory)
        self._add(walk.seconds)

    @property
    def _record_bytes(self) -> int:
        count, (height, width) = self._channels.count, self._channels.cells
        return count * (2 * height * width + 4)

    def _confidences(self, step: Step) -> Float[Tensor, " channels"]:
        """Of each channel; all equal where there is no evidence."""
        return torch.ones(self._channels.count) if step.signs is None else confidence(step.signs)

    def _alone(self, step: Step) -> Carried:
        if step.signs is None:
            return Carried(step.index, step.labels, None, lambda channel: "")
        signs = step.signs
        return Carried(
            step.index, step.labels, confidence(signs), lambda channel: REASONS[weakest_sign(signs[channel])]
        )

    def _fused(self, step: Step, segment: Segment) -> Carried:
        """A step of the forward walk together with what the backward walk left for its frame."""
        assert segment.before is not None
        assert segment.after is not None
        with self._backward.open("rb") as file:
            file.seek((segment.after - step.index - 1) * self._record_bytes)
            data = file.read(self._record_bytes)
        count, cells = self._channels.count, self._channels.cells
        labels = torch.from_numpy(np.frombuffer(data, np.float16, count * cells[0] * cells[1]).astype(np.float32))
        other = torch.from_numpy(np.frombuffer(data[-4 * count :], np.float32).copy())
        own = self._confidences(step)
        fused, trust = fuse(
            step.labels.cpu(),
            labels.reshape(count, *cells),
            confidences=(own, other),
            known=(self._known(segment.before), self._known(segment.after)),
            steps=(step.index - segment.before, segment.after - step.index),
            num_regions=self._channels.num_regions,
        )
        if step.signs is None:
            return Carried(step.index, fused, None, lambda channel: "")
        faded = torch.where(self._channels.are_points, FADED_POINT, FADED)
        fused[fused.amax(dim=(1, 2)) < faded] = 0
        signs = step.signs

        def reason(channel: int) -> str:
            is_doubtful = trust[channel] < min(own[channel], other[channel])
            return DISAGREE if is_doubtful else REASONS[weakest_sign(signs[channel])]

        return Carried(step.index, fused, trust, reason)

    def _known(self, frame: int) -> Bool[Tensor, " channels"]:
        """Channels of the objects that are seen on a labeled frame, and the background's."""
        known = torch.zeros(self._channels.count, dtype=torch.bool)
        for key in self._ids() & self._group.present(frame):
            known[self._channels.of_object[key]] = True
        known[: self._channels.num_regions][:1] = bool(known[: self._channels.num_regions].any())
        return known

    def _save(self, rows: TextIO, work: str, done: int, memory: list[Tensor]) -> None:
        rows.flush()
        self._state.save(work, done, memory)

    def _timed_submit(self, writer: InOrder, call: Callable[..., None], *args: object) -> None:
        began = time.perf_counter()
        writer.submit(call, *args)
        self._seconds["write"] += time.perf_counter() - began

    def _add(self, seconds: dict[str, float]) -> None:
        for name, value in seconds.items():
            self._seconds[name] += value

    def _keep_lines(self, count: int) -> None:
        """Cuts the rows of the segment in progress to those that are known to be whole."""
        kept: list[str] = []
        if count:
            with self._rows.open(encoding="utf-8") as file:
                kept = [line for line, _ in zip(file, range(count), strict=False)]
        with atomic_file(self._rows) as partial:
            partial.write_text("".join(kept), encoding="utf-8")

    def _finish(self, segment: Segment) -> None:
        """Gives the rows of a segment, in the order of frames, their place among what is done."""
        lines = self._rows.read_text(encoding="utf-8").splitlines()
        if len(lines) > 1 and from_line(lines[0])[0] > from_line(lines[-1])[0]:
            lines.reverse()
        with atomic_file(self.file(segment)) as partial:
            partial.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        self._rows.unlink()
        self._backward.unlink(missing_ok=True)
