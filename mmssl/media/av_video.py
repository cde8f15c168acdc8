"""Exact video frames by PyAV."""

import itertools
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import torch
from av.packet import Packet
from av.video.frame import VideoFrame
from jaxtyping import UInt8
from torch import Tensor

from mmssl.errors import DecodeError, MediaError
from mmssl.media.containers import av_errors, check_dimensions, open_container
from mmssl.media.orientation import orientation_of
from mmssl.media.pixels import RgbConverter
from mmssl.media.timeline import SeekPoint, Timeline, decode_packet, read_timeline, video_stream
from mmssl.media.video_file import Size, VideoFile

FRAMES_WORTH_A_SEEK = 4
"""Going forward, a seek is worth its cost when it saves decoding more than this many frames."""


class AvVideo(VideoFile):
    """A video file read by PyAV, with as many threads as torch is set to use.

    Frames that the decoder reports as damaged, or leaves out, raise DecodeError, and so do the ones after them up to the next
    keyframe, which depend on them.

    Args:
        path: A file of any container and codec that FFmpeg reads.

    Raises:
        MediaError: If the file is missing, empty, unreadable, damaged, has no video, or is to be shown slanted.
        DecodeError: If none of its frames can be decoded.
    """

    def __init__(self, path: Path) -> None:
        self._decoder: _Decoder | None = _Decoder(path)
        self._timeline = self._decoder.timeline
        self._latest: tuple[int, VideoFrame] | None = next(self._decoder, None)
        if self._latest is None:
            raise DecodeError(f"{path}: none of its frames can be decoded")
        first = self._latest[1]
        self._is_open = True
        try:
            self.orientation = orientation_of(first)
        except MediaError as error:
            raise MediaError(f"{path}: {error}") from error
        self._convert = RgbConverter(self.orientation)
        super().__init__(
            path,
            size=self.orientation.size((first.height, first.width)),
            pts_seconds=torch.from_numpy(self._timeline.pts_seconds),
            end_seconds=self._timeline.end_seconds,
            num_missing_frames=self._timeline.num_missing,
        )

    @property
    def keyframes(self) -> tuple[int, ...]:
        """Frames that decoding may begin with, ascending."""
        return (0, *(point.frame for point in self._timeline.seek_points))

    def _read(self, indices: Sequence[int], size: Size | None) -> Iterator[tuple[int, UInt8[Tensor, "h w 3"]]]:
        for index in indices:
            yield index, self._convert(self._find(index), size or self.size)

    def _find(self, index: int) -> VideoFrame:
        """Decodes to a frame, from where the decoder is or from the last seek point before the frame."""
        if self._latest is not None and self._latest[0] == index:
            return self._latest[1]
        point = self._timeline.seek_point(index)
        decoder = self._decoder = self._decoder or _Decoder(self.path, self._timeline)
        begin = point.frame if point else 0
        if not begin - FRAMES_WORTH_A_SEEK <= decoder.next_frame <= index:
            decoder.restart(point)
        while True:
            for found, frame in decoder:
                if found == index:
                    self._latest = found, frame
                    return frame
                if found > index:
                    break
            if decoder.start is None:
                self._latest = None
                raise DecodeError(f"{self.path}: frame {index} of {self.num_frames} cannot be decoded")
            decoder.restart(self._timeline.seek_point(decoder.start.frame - 1))

    def _read_range(self, start: int, stop: int, size: Size | None) -> Iterator[tuple[int, UInt8[Tensor, "h w 3"]]]:
        if start == stop:
            return
        latest, decoder = self._latest, self._decoder or _Decoder(self.path, self._timeline)
        self._latest = self._decoder = None
        convert = RgbConverter(self.orientation)
        expected = start
        try:
            if latest is not None and latest[0] == start:
                yield start, convert(latest[1], size or self.size)
                expected += 1
            if expected == stop:
                return
            if decoder.next_frame != expected:
                decoder.restart(self._timeline.seek_point(expected))
            while True:
                for index, frame in decoder:
                    if index < expected:
                        continue
                    if index > expected:
                        break
                    yield index, convert(frame, size or self.size)
                    expected += 1
                    if expected == stop:
                        return
                if decoder.start is None:
                    raise DecodeError(f"{self.path}: frame {expected} of {self.num_frames} cannot be decoded")
                decoder.restart(self._timeline.seek_point(decoder.start.frame - 1))
        finally:
            if self._decoder is None and self._is_open:
                self._decoder = decoder
            else:
                decoder.close()

    def close(self) -> None:
        """Lets go of the file."""
        if self._decoder is not None:
            self._decoder.close()
        self._decoder = self._latest = None
        self._is_open = False


class _Decoder:
    """Gives `(index, frame)` in presentation order from a seek point forwards, leaving out damaged frames."""

    def __init__(self, path: Path, timeline: Timeline | None = None) -> None:
        self._path = path
        self._open()
        if timeline is None:
            self.timeline = read_timeline(self._container, self._stream, path)
            self._rewind()
        else:
            self.timeline = timeline
        self._begin(None)

    def _open(self) -> None:
        self._container = open_container(self._path)
        self._stream = video_stream(self._container, self._path)
        check_dimensions(self._path, self._stream.width, self._stream.height)
        self._stream.thread_type = "AUTO"
        self._stream.codec_context.thread_count = torch.get_num_threads()
        self._packets: Iterator[Packet] = self._container.demux(self._stream)

    def _rewind(self) -> None:
        """Goes to the file's begin, by opening it anew where seeking there does not arrive."""
        stamp = self.timeline.first_stamp
        if stamp is not None:
            self._seek(stamp)
            first = next(self._packets, None)
            if first is not None and first.pts == stamp:
                self._packets = itertools.chain((first,), self._packets)
                return
        self._container.close()
        self._open()

    def _seek(self, stamp: int) -> None:
        with av_errors(self._path):
            self._container.seek(stamp, stream=self._stream)
        self._packets = self._container.demux(self._stream)

    def _begin(self, start: SeekPoint | None) -> None:
        self.start = start
        self.next_frame = start.frame if start else 0
        self._frames = self._decode()

    def restart(self, start: SeekPoint | None) -> None:
        """Goes to a seek point, or to the file's begin."""
        self._frames.close()
        if start is None:
            self._rewind()
        else:
            self._seek(start.stamp)
        self._begin(start)

    def __iter__(self) -> "_Decoder":
        return self

    def __next__(self) -> tuple[int, VideoFrame]:
        index, frame = next(self._frames)
        self.next_frame = index + 1
        return index, frame

    def _decode(self) -> Generator[tuple[int, VideoFrame], None, None]:
        timeline = self.timeline
        first = expected = self.next_frame
        is_awaiting_key = self.start is not None
        is_damaged = False
        with av_errors(self._path):
            for packet in self._packets:
                if is_awaiting_key and packet.size:
                    if not packet.is_keyframe:
                        continue
                    is_awaiting_key = False
                for frame in decode_packet(packet, timeline.by_dts):
                    index = timeline.index(frame.pts, expected)
                    if index < first:
                        continue
                    is_damaged = frame.is_corrupt or index != expected or (is_damaged and not frame.key_frame)
                    expected = index + 1
                    if not is_damaged:
                        yield index, frame

    def close(self) -> None:
        self._frames.close()
        self._container.close()
