"""Exact video frames by PyAV."""

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import av
import torch
from av.video.frame import VideoFrame
from jaxtyping import UInt8
from torch import Tensor

from mmssl.errors import DecodeError, MediaError
from mmssl.media.containers import MAX_PIXELS, av_errors, open_container
from mmssl.media.pixels import RgbConverter, quarter_turns
from mmssl.media.timeline import SeekPoint, Timeline, decode_packet, read_timeline, video_stream
from mmssl.media.video_file import Size, VideoFile

FRAMES_WORTH_A_SEEK = 12
"""Going forward, a seek is worth its cost when it saves decoding more than this many frames."""


class AvVideo(VideoFile):
    """A video file read by PyAV.

    Args:
        path: A file of any container and codec that FFmpeg reads.

    Raises:
        MediaError: If the file is missing, empty, unreadable, damaged, or has no video.
    """

    def __init__(self, path: Path) -> None:
        self._timeline = read_timeline(path)
        self._pass: _Pass | None = _Pass(path, self._timeline, None, threads=1)
        _, first = next(self._pass)
        turns = quarter_turns(first)
        size = (first.height, first.width) if turns % 2 == 0 else (first.width, first.height)
        self._convert = RgbConverter(quarter_turns=turns)
        super().__init__(
            path,
            size=size,
            pts_seconds=torch.from_numpy(self._timeline.pts_seconds),
            end_seconds=self._timeline.end_seconds,
        )

    def _read(self, indices: Sequence[int], size: Size | None) -> Iterator[tuple[int, UInt8[Tensor, "h w 3"]]]:
        for index in indices:
            yield index, self._convert(self._find(index), size or self.size)

    def _find(self, index: int) -> VideoFrame:
        """Decodes to a frame, from where the decoder is or from the last seek point before the frame."""
        point = self._timeline.seek_point(index)
        begin = point.frame if point else 0
        current = self._pass
        if current is None or current.next_frame > index or begin - current.next_frame > FRAMES_WORTH_A_SEEK:
            self.close()
            current = self._pass = _Pass(self.path, self._timeline, point, threads=1)
        while True:
            for found, frame in current:
                if found == index:
                    return frame
                if found > index:
                    break
            self.close()
            if current.start is None:
                raise DecodeError(f"{self.path}: frame {index} of {self.num_frames} cannot be decoded")
            earlier = self._timeline.seek_point(current.start.frame - 1)
            current = self._pass = _Pass(self.path, self._timeline, earlier, threads=1)

    def _read_range(self, start: int, stop: int, size: Size | None) -> Iterator[tuple[int, UInt8[Tensor, "h w 3"]]]:
        if start == stop:
            return
        run = _Pass(self.path, self._timeline, self._timeline.seek_point(start), threads=torch.get_num_threads())
        convert = RgbConverter(quarter_turns=self._convert.quarter_turns)
        try:
            expected = start
            for index, frame in run:
                if index < start:
                    continue
                if index != expected:
                    break
                yield index, convert(frame, size or self.size)
                expected += 1
                if expected == stop:
                    return
        finally:
            run.close()
        raise DecodeError(f"{self.path}: frame {expected} of {self.num_frames} cannot be decoded")

    def close(self) -> None:
        """Lets go of the file; reading again opens it again."""
        if self._pass is not None:
            self._pass.close()
            self._pass = None


class _Pass:
    """One run of a decoder from a seek point forwards, giving `(index, frame)` in order."""

    def __init__(self, path: Path, timeline: Timeline, start: SeekPoint | None, *, threads: int) -> None:
        self.start = start
        self.next_frame = start.frame if start else 0
        self._container = open_container(path)
        stream = video_stream(self._container, path)
        context = stream.codec_context
        if context.width * context.height > MAX_PIXELS:
            raise MediaError(f"{path}: its header claims {context.width} x {context.height} pixels; refused")
        context.thread_type = "AUTO"
        context.thread_count = threads
        self._frames = self._decode(path, stream, timeline)

    def __iter__(self) -> "_Pass":
        return self

    def __next__(self) -> tuple[int, VideoFrame]:
        index, frame = next(self._frames)
        self.next_frame = index + 1
        return index, frame

    def _decode(
        self, path: Path, stream: av.video.stream.VideoStream, timeline: Timeline
    ) -> Generator[tuple[int, VideoFrame], None, None]:
        first = 0
        if self.start is not None:
            first = self.start.frame
            self._container.seek(self.start.pts, stream=stream)
        is_awaiting_key = self.start is not None
        counted = 0
        with av_errors(path):
            for packet in self._container.demux(stream):
                if is_awaiting_key and packet.size:
                    if not packet.is_keyframe:
                        continue
                    is_awaiting_key = False
                for frame in decode_packet(packet, timeline.by_dts):
                    if timeline.frame_of:
                        index = -1 if frame.pts is None else timeline.frame_of.get(frame.pts, -1)
                    else:
                        index, counted = counted, counted + 1
                    if index >= first:
                        yield index, frame

    def close(self) -> None:
        self._frames.close()
        self._container.close()
