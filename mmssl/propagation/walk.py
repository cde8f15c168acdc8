"""One pass from a labeled frame to the frames after it, or before it: each frame is encoded once, labels go from hand to hand."""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mmssl.functional.affinity import Window, normalize_features
from mmssl.media.video import VideoFile
from mmssl.propagation.channels import Channels
from mmssl.propagation.confidence import evidence
from mmssl.propagation.frame_encoder import FeatureSource
from mmssl.propagation.point_follower import PointRule
from mmssl.propagation.presets import DINO
from mmssl.propagation.propagator import Propagator
from mmssl.propagation.streaming import prefetch

QUEUE_FRAMES = 8
"""Decoded frames that may wait for the next step."""

CHUNK_FRAMES = 32
"""Frames that are decoded together where a video is read backwards."""

FADED = 0.15
"""A channel whose peak falls below is lost: it is emptied, and the whole labeled frame is searched for it."""

FOUND = 0.5
"""A lost channel is back once its peak reaches this."""

FADED_POINT, FOUND_POINT = 0.02, 0.25
"""The same for heat maps, which spread on even ground without losing their place."""


@dataclass(frozen=True)
class Step:
    """Labels of one frame.

    Args:
        index: Frame.
        labels: Its channels.
        signs: Evidence a channel, as in `confidence.SIGNS`; None where it is not asked for.
    """

    index: int
    labels: Float[Tensor, "channels h w"]
    signs: Float[Tensor, "channels signs"] | None


class Walk:
    """Carries the labels of one frame to its neighbors, one after the other.

    Args:
        source: The video.
        encode: Gives the features of its frames.
        channels: Of the objects that are carried.
        labels: Channels of the labeled frame.
        start: The labeled frame.
        stop: The last frame to reach; before `start` to go backwards.
        batch_size: Frames encoded together.
        anchor: Another labeled frame and its channels, which every frame may copy from as well.
        plain: The preset's protocol and nothing else: no evidence, nothing is ever lost, points by features alone.
        points: How points are followed.
        done: Frames that an earlier walk with the same settings did, after the labeled one.
        memory: Its `memory` after the last of these.
    """

    def __init__(
        self,
        source: VideoFile,
        encode: FeatureSource,
        channels: Channels,
        labels: Float[Tensor, "channels h w"],
        *,
        start: int,
        stop: int,
        batch_size: int,
        anchor: tuple[int, Float[Tensor, "channels h w"]] | None = None,
        plain: bool = False,
        points: PointRule = "pixels",
        done: int = 0,
        memory: Float[Tensor, "frames channels h w"] | None = None,
    ) -> None:
        self._source, self._encode, self._channels = source, encode, channels
        self._labels = labels.to(encode.device)
        self._start, self._sign, self._last = start, 1 if stop >= start else -1, abs(stop - start)
        self._batch_size, self._anchor, self._plain, self._done = batch_size, anchor, plain, done
        self._present = labels.amax(dim=(1, 2)) > 0
        self._follower = channels.follower("features" if plain else points)
        self._pictures: Generator[tuple[int, Tensor], None, None] | None = None
        self._propagator = Propagator(channels.preset, num_competing=channels.num_regions)
        old = [] if memory is None else list(memory.to(encode.device))
        places = [place for place in channels.preset.kept_frames if place <= done]
        self._kept = dict(zip(places, old, strict=False))
        self._recent: deque[Tensor] = deque(old[len(self._kept) :], maxlen=channels.preset.previous_frames)
        self.labeled: dict[int, Tensor] = {}
        """Channels of the labeled frames, refined by their features; there once the first steps are."""
        self.seconds: dict[str, float] = defaultdict(float)

    @property
    def memory(self) -> list[Float[Tensor, "channels h w"]]:
        """Labels that the next steps depend on: of the preset's kept frames, and of the last frames."""
        return [*self._kept.values(), *self._recent]

    def batches(self) -> Iterator[list[Step]]:
        """The steps that are not done yet, as many together as were encoded together; `memory` then goes with the last."""
        try:
            yield from self._batches()
        finally:
            if self._pictures is not None:
                self._pictures.close()

    def _batches(self) -> Iterator[list[Step]]:
        begin = self._done - len(self._recent) + 1
        remembered = self._kept | dict(enumerate(self._recent, start=begin))
        self._drop_anchor()
        for places, frames in self._read(first=max(1, begin)):
            features = self._timed("encode", self._encode, frames)
            steps = []
            for place, raw in zip(places, features, strict=True):
                each = self._propagator.prepare(raw)
                if place == 0:
                    self.labeled[self._start] = self._channels.refine(self._labels, each)
                    self._propagator.remember(each, self.labeled[self._start])
                    self._begin_following()
                elif place <= self._done:
                    if place in remembered:
                        self._propagator.remember(each, remembered[place], place=place)
                else:
                    steps.append(self._timed("propagate", self._step, place, each))
            if steps:
                yield steps

    def _begin_following(self) -> None:
        """Shows the follower, if there is one, the labeled frame and the last one that is done."""
        if self._follower is None:
            return
        [(_, picture)] = self._in_order(self._source_frames, 0, 1)
        self._follower.begin(picture, self._labels)
        if self._done:
            [(_, picture)] = self._in_order(self._source_frames, self._done, self._done + 1)
            self._follower.resume(picture, self._recent[-1])
        self._pictures = prefetch(self._in_order(self._source_frames, self._done + 1, self._last + 1), 2)

    def _drop_anchor(self) -> None:
        """Makes the other labeled frame, if there is one, context of all frames."""
        if self._anchor is None:
            return
        index, labels = self._anchor
        frames = [frame for _, frame in self._encode.frames(self._source, start=index, stop=index + 1)]
        features = self._propagator.prepare(self._timed("encode", self._encode, frames)[0])
        self.labeled[index] = self._channels.refine(labels.to(self._encode.device), features)
        self._propagator.anchor(features, self.labeled[index], place=abs(index - self._start))

    def _step(self, place: int, features: Float[Tensor, "dim h w"]) -> Step:
        """The labels of the next frame, which becomes context."""
        preset, propagator = self._channels.preset, self._propagator
        lost = torch.zeros(len(self._labels), dtype=torch.bool)
        if not self._plain and self._recent:
            lost = self._present & (self._recent[-1].amax(dim=(1, 2)).cpu() <= 0)
        labels = propagator.predict(features, first_window=Window(None) if bool(lost.any()) else None)
        signs = None
        if not self._plain:
            labels = self._settle(labels, lost)
            if self._follower is not None and self._pictures is not None:
                labels = self._follower.step(self._timed("decode", next, self._pictures)[1], labels)
            way_back = preset if preset.rule == "joint" else DINO
            assert way_back.top_k is not None
            now, before, labeled = (
                (normalize_features(keys[None])[0], values)
                for keys, values in ((features, labels), propagator.oldest, propagator.first)
            )
            signs = evidence(
                now=now,
                before=before,
                labeled=labeled,
                winners=self._channels.winners(labels),
                steps=place,
                window=way_back.window,
                top_k=way_back.top_k,
                temperature=way_back.temperature,
            ).cpu()
        propagator.remember(features, labels)
        self._recent.append(labels)
        if place in preset.kept_frames:
            self._kept[place] = labels
        return Step(self._start + self._sign * place, labels, signs)

    def _settle(self, labels: Float[Tensor, "channels h w"], lost: Tensor) -> Float[Tensor, "channels h w"]:
        """Empties channels that have faded, or are lost and not found; what masks lose goes to the background."""
        peaks = labels.amax(dim=(1, 2)).cpu()
        points = self._channels.are_points
        faded, found = torch.where(points, FADED_POINT, FADED), torch.where(points, FOUND_POINT, FOUND)
        empty = torch.where(lost, peaks < found, peaks < faded) & self._present
        regions = self._channels.num_regions
        empty[:regions][:1] = False
        if not bool(empty.any()):
            return labels
        settled = labels.clone()
        if regions:
            settled[0] += settled[:regions][empty[:regions]].sum(dim=0)
        settled[empty] = 0
        return settled

    def _read(self, *, first: int) -> Iterator[tuple[list[int], list[Tensor]]]:
        """Frames in batches by their distance from the labeled one: its batch, kept frames', and from that of `first` on."""
        size, end = self._batch_size, self._last + 1
        resume = first // size * size
        before = sorted({place // size * size for place in (0, *self._kept)} - {resume})
        ranges = [*((begin, begin + size) for begin in before if begin < resume), (resume, end)]
        for begin, stop in ranges:
            places: list[int] = []
            frames: list[Tensor] = []
            with closing(prefetch(self._in_order(self._encoder_frames, begin, min(stop, end)), QUEUE_FRAMES)) as ahead:
                while (item := self._timed("decode", next, ahead, None)) is not None:
                    places.append(item[0])
                    frames.append(item[1])
                    if len(places) == size:
                        yield places, frames
                        places, frames = [], []
            if places:
                yield places, frames

    def _encoder_frames(self, start: int, stop: int) -> Iterator[tuple[int, Tensor]]:
        return self._encode.frames(self._source, start=start, stop=stop)

    def _source_frames(self, start: int, stop: int) -> Iterator[tuple[int, Tensor]]:
        return self._source.iterate(start=start, stop=stop)

    def _in_order(
        self, read: Callable[[int, int], Iterator[tuple[int, Tensor]]], begin: int, stop: int
    ) -> Iterator[tuple[int, Tensor]]:
        """Distances `begin` to `stop - 1` with their frames, which `read` gives from one index to before another."""
        if self._sign > 0:
            for index, frame in read(self._start + begin, self._start + stop):
                yield index - self._start, frame
            return
        for near in range(begin, stop, CHUNK_FRAMES):
            low, high = self._start - min(near + CHUNK_FRAMES, stop) + 1, self._start - near
            chunk = [frame for _, frame in read(low, high + 1)]
            for offset, frame in enumerate(reversed(chunk)):
                yield near + offset, frame

    def _timed(self, name: str, call: Any, *args: Any) -> Any:
        began = time.perf_counter()
        try:
            return call(*args)
        finally:
            self.seconds[name] += time.perf_counter() - began
