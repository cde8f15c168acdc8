"""When each frame of a video file is presented, and where decoding may begin to reach it."""

from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from mmssl.errors import MediaError
from mmssl.media.containers import av_errors, codec_name, describe_streams, is_attached_picture, open_container

_ONE_FRAME_A_PACKET = {"av1", "ffv1", "gif", "h264", "hevc", "mjpeg", "png", "prores", "rawvideo", "vp8", "vp9"}
"""Codecs whose packets each hold one presented frame (in VP8 the frame header says whether it is presented)."""

_TIMED_CONTAINERS = {"mov", "matroska"}
"""Containers that store a presentation time with each packet and an index that seeks by it."""


@dataclass(frozen=True)
class SeekPoint:
    """A keyframe from which decoding can begin.

    Args:
        frame: Index of the keyframe among the presented frames.
        pts: Its stamp.
        dts: Its decoding time stamp.
        position: Its place among the packets, in decoding order.
    """

    frame: int
    pts: int
    dts: int
    position: int


@dataclass(frozen=True)
class Timeline:
    """The presented frames of a video stream in order.

    Args:
        stream_index: The stream in its container.
        stamps: Names each frame: what the decoder gives as its time stamp when packets are stamped as `by_dts` says.
        pts_seconds: Time each frame is presented, ascending.
        end_seconds: Time at which the last frame ends.
        by_dts: Whether packets are stamped with their decoding time, because their presentation times cannot be trusted.
        seek_points: Where decoding can begin, ascending; empty where only the file's begin will do.
        frame_of: Frame of a stamp; empty where stamps do not tell frames apart and frames are counted.
        position_of: Place of a stamp's packet in decoding order.
    """

    stream_index: int
    stamps: tuple[int, ...]
    pts_seconds: NDArray[np.float64]
    end_seconds: float
    by_dts: bool
    seek_points: tuple[SeekPoint, ...]
    frame_of: dict[int, int]
    position_of: dict[int, int]

    def seek_point(self, frame: int) -> SeekPoint | None:
        """The last seek point at or before a frame; None for the file's begin."""
        place = bisect_right(self.seek_points, frame, key=lambda point: point.frame) - 1
        return self.seek_points[place] if place >= 0 else None


@dataclass(frozen=True)
class _Entry:
    """What is kept of a packet."""

    pts: int | None
    dts: int | None
    duration: int
    is_key: bool
    is_presented: bool
    is_sound: bool


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The container's first stream of moving pictures.

    Raises:
        MediaError: If there is none, or FFmpeg has no decoder for it.
    """
    for stream in container.streams.video:
        if not is_attached_picture(stream):
            if stream.codec_context is None:
                raise MediaError(f"{path}: its video stream is in a format for which there is no decoder")
            return stream
    found = ", ".join(describe_streams(container)) or "none"
    raise MediaError(f"{path}: has no video stream (streams: {found})")


def read_timeline(path: Path) -> Timeline:
    """Finds when each frame is presented, from the packets alone where they tell, else by decoding once in order.

    Raises:
        MediaError: If the file has no video stream, or no frame that can be presented.
    """
    with open_container(path) as container:
        stream = video_stream(container, path)
        entries = _entries(container, stream, path)
        if not entries:
            raise MediaError(f"{path}: its video stream holds no frame")
        names = set(container.format.name.split(","))
        timed = bool(names & _TIMED_CONTAINERS)
        by_dts = not timed and "avi" in names
        time_base = stream.time_base or Fraction(1, 90000)
        if timed and codec_name(stream) in _ONE_FRAME_A_PACKET and _are_regular(entries):
            stamps = sorted(entry.pts for entry in entries if entry.is_presented and entry.pts is not None)
            times = stamps
        else:
            stamps, times = _decoded(path, by_dts)
        can_seek = timed or by_dts
        frame_rate = stream.average_rate
    return _timeline(path, stream.index, entries, stamps, times, time_base, frame_rate, by_dts, can_seek)


def _entries(container: InputContainer, stream: VideoStream, path: Path) -> list[_Entry]:
    is_vp8 = codec_name(stream) == "vp8"
    entries = []
    with av_errors(path):
        for packet in container.demux(stream):
            if packet.size:
                shown = not packet.is_discard
                if is_vp8:
                    shown = shown and bool(memoryview(packet)[0] >> 4 & 1)
                entries.append(
                    _Entry(
                        packet.pts, packet.dts, packet.duration or 0, packet.is_keyframe, shown, not packet.is_corrupt
                    )
                )
    return entries


def _are_regular(entries: list[_Entry]) -> bool:
    """Whether the packets' presentation times are those of the frames a decoder presents."""
    stamps = [entry.pts for entry in entries]
    known = [stamp for stamp in stamps if stamp is not None]
    return (
        len(set(known)) == len(entries)
        and all(entry.is_sound for entry in entries)
        and entries[0].is_key
        and min(known) == known[0]
    )


def _decoded(path: Path, by_dts: bool) -> tuple[list[int], list[int]]:
    """Stamps of the frames that decoding in order presents, and the times they are presented at."""
    stamps: list[int] = []
    times: list[int] = []
    with open_container(path) as container:
        stream = video_stream(container, path)
        for packet in container.demux(stream):
            for frame in decode_packet(packet, by_dts):
                stamps.append(frame.pts if frame.pts is not None else -1)
                moment = frame.pts if frame.pts is not None else frame.dts
                times.append(moment if moment is not None else len(times))
    return stamps, sorted(times)


def decode_packet(packet: Packet, by_dts: bool) -> list[VideoFrame]:
    """The frames that come out of the decoder after a packet; none where the packet is damaged."""
    if by_dts and packet.size:
        packet.pts = packet.dts
    try:
        return packet.decode()
    except (av.error.InvalidDataError, av.error.PatchWelcomeError):
        return []


def _timeline(
    path: Path,
    stream_index: int,
    entries: list[_Entry],
    stamps: list[int],
    times: list[int],
    time_base: Fraction,
    frame_rate: Fraction | None,
    by_dts: bool,
    can_seek: bool,
) -> Timeline:
    if not stamps:
        raise MediaError(f"{path}: no frame of its video stream can be decoded")
    frame_of = {value: frame for frame, value in enumerate(stamps)}
    keys = [entry.dts if by_dts else entry.pts for entry in entries]
    position_of = {key: position for position, key in enumerate(keys) if key is not None}
    is_unique = len(frame_of) == len(stamps) and len(position_of) == len(entries)
    if not (can_seek and is_unique):
        frame_of, position_of, points = {}, {}, []
    else:
        points = [
            SeekPoint(frame_of[key], key, entry.dts if entry.dts is not None else key, position)
            for position, (key, entry) in enumerate(zip(keys, entries, strict=True))
            if entry.is_key and key is not None and key in frame_of
        ]
        points = [point for point in points if point.position > 0]
    unit = float(time_base)
    seconds = np.array(times, np.float64) * time_base.numerator / time_base.denominator
    last = next((entry.duration for entry in entries if (entry.dts if by_dts else entry.pts) == stamps[-1]), 0)
    if not last:
        gaps = sorted(after - before for before, after in pairwise(times))
        last = gaps[len(gaps) // 2] if gaps else 0
    tail = last * unit or (float(1 / frame_rate) if frame_rate else 0.0)
    ascending = sorted(points, key=lambda point: point.frame)
    return Timeline(
        stream_index, tuple(stamps), seconds, float(seconds[-1]) + tail, by_dts, tuple(ascending), frame_of, position_of
    )
