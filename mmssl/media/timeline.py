"""When each frame of a video file is presented, and where decoding may begin to reach it."""

from bisect import bisect_right
from dataclasses import dataclass, replace
from fractions import Fraction
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
from mmssl.media.cut_off import is_cut_off

_ONE_FRAME_A_PACKET = {"av1", "ffv1", "gif", "h264", "hevc", "mjpeg", "png", "prores", "rawvideo", "vp8", "vp9"}
"""Codecs whose packets each hold one presented frame (in VP8 the frame header says whether it is presented)."""

_SIMPLE_CODECS = {"cinepak", "ffv1", "mjpeg", "png", "rawvideo"}
"""Codecs without a frame that needs a later one, so that packets are presented in the order they are stored in."""

_SMALLEST_MPEG4_FRAME = 32
"""Bytes; a packet of MPEG-4 that is smaller may hold a frame that is skipped."""

_TIMED_CONTAINERS = {"mov", "matroska"}
"""Containers that store a presentation time with each packet and an index that seeks by it."""


@dataclass(frozen=True)
class SeekPoint:
    """A keyframe from which decoding can begin.

    Args:
        frame: Index of the keyframe among the presented frames.
        stamp: Its stamp.
    """

    frame: int
    stamp: int


@dataclass(frozen=True)
class Timeline:
    """The presented frames of a video stream in order.

    Args:
        pts_seconds: Time each frame is presented, ascending.
        end_seconds: Time at which the last frame ends.
        by_dts: Whether packets are stamped with their decoding time, because their presentation times cannot be trusted.
        seek_points: Where decoding can begin besides the file's begin, ascending.
        frame_of: Frame of a stamp, which a packet carries into the decoder and its frame carries out; empty where stamps do
            not tell frames apart and frames are counted.
        first_stamp: Stamp of the file's first packet, where seeking by it may lead to the file's begin; else None.
        num_missing: Frames that the file's header promises and the file, cut off, does not hold; of Matroska by its duration.
    """

    pts_seconds: NDArray[np.float64]
    end_seconds: float
    by_dts: bool
    seek_points: tuple[SeekPoint, ...]
    frame_of: dict[int, int]
    first_stamp: int | None
    num_missing: int

    def index(self, stamp: int | None, expected: int) -> int:
        """The frame of a stamp, -1 for one that is not presented; the expected frame where frames are counted."""
        if not self.frame_of:
            return expected
        return -1 if stamp is None else self.frame_of.get(stamp, -1)

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
    is_in_order: bool
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


def read_timeline(container: InputContainer, stream: VideoStream, path: Path) -> Timeline:
    """Finds when each frame is presented, from the packets alone where they tell, else by decoding once in order.

    Args:
        container: Open and not yet read from; read to its end here.
        stream: Its video stream.
        path: Its file.

    Raises:
        MediaError: If the stream holds no frame that can be presented.
    """
    names = set(container.format.name.split(","))
    is_timed = bool(names & _TIMED_CONTAINERS)
    by_dts = not is_timed and "avi" in names
    entries = _entries(container, stream, path, look_inside=by_dts)
    if not entries:
        raise MediaError(f"{path}: its video stream holds no frame")
    is_regular = is_timed and codec_name(stream) in _ONE_FRAME_A_PACKET and _are_regular(entries, stream)
    if is_regular:
        times = stamps = sorted(entry.pts for entry in entries if entry.is_presented and entry.pts is not None)
    elif by_dts and _are_in_order(entries):
        times = stamps = [entry.dts for entry in entries if entry.dts is not None]
    else:
        stamps, times = _decoded(path, by_dts)
    if not stamps:
        raise MediaError(f"{path}: no frame of its video stream can be decoded")
    is_short = is_cut_off(path)
    num_listed = stream.frames if "mp4" in names or is_short else 0
    timeline = _timeline(
        stream,
        entries,
        stamps,
        times,
        by_dts,
        can_seek=is_timed or by_dts,
        can_seek_begin=is_regular,
        num_missing=_num_missing(entries, num_listed, len(times)),
    )
    if is_short and container.duration and stream.average_rate and not timeline.num_missing:
        missing_seconds = container.duration / av.time_base - timeline.end_seconds
        return replace(timeline, num_missing=max(0, round(missing_seconds * stream.average_rate)))
    return timeline


def _entries(container: InputContainer, stream: VideoStream, path: Path, *, look_inside: bool) -> list[_Entry]:
    """One for each packet; whether its frame is in order is only found out where asked to look inside."""
    codec = codec_name(stream)
    entries = []
    with av_errors(path):
        for packet in container.demux(stream):
            if packet.size:
                shown = not packet.is_discard
                if codec == "vp8":
                    shown = shown and bool(memoryview(packet)[0] >> 4 & 1)
                in_order = codec in _SIMPLE_CODECS or (look_inside and codec == "mpeg4" and _is_one_mpeg4_frame(packet))
                entries.append(
                    _Entry(
                        packet.pts,
                        packet.dts,
                        packet.duration or 0,
                        packet.is_keyframe,
                        shown,
                        in_order,
                        not packet.is_corrupt,
                    )
                )
    return entries


def _is_one_mpeg4_frame(packet: Packet) -> bool:
    """Whether an MPEG-4 packet surely holds one frame that is presented, and not a bidirectional one.

    Source:
        ISO/IEC 14496-2, 6.2.5: the start code of a frame is 00 00 01 B6; two bits that tell its type follow, 2 for B.
    """
    content = bytes(memoryview(packet))
    _, code, after = content.partition(b"\x00\x00\x01\xb6")
    return (
        len(content) >= _SMALLEST_MPEG4_FRAME and bool(code) and b"\x00\x00\x01\xb6" not in after and after[0] >> 6 != 2
    )


def _are_in_order(entries: list[_Entry]) -> bool:
    """Whether each packet is one frame, and frames are presented in the order they are stored in."""
    stamps = [entry.dts for entry in entries]
    return (
        None not in stamps
        and len(set(stamps)) == len(entries)
        and entries[0].is_key
        and all(entry.is_in_order and entry.is_presented and entry.is_sound for entry in entries)
    )


def _are_regular(entries: list[_Entry], stream: VideoStream) -> bool:
    """Whether the packets' presentation times are those of the frames a decoder presents."""
    is_reordered = any(entry.pts != entry.dts for entry in entries)
    stamps = [entry.pts for entry in entries]
    known = [stamp for stamp in stamps if stamp is not None]
    return (
        len(set(known)) == len(entries)
        and all(entry.is_sound for entry in entries)
        and entries[0].is_key
        and min(known) == known[0]
        and (is_reordered or not stream.codec_context.has_b_frames)
    )


def _num_missing(entries: list[_Entry], num_listed: int, num_presented: int) -> int:
    """How many frames a cut-off file would present besides those it does; 0 where all that it lists are there."""
    if len(entries) >= num_listed:
        return 0
    return num_listed - sum(not entry.is_presented for entry in entries) - num_presented


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
    stream: VideoStream,
    entries: list[_Entry],
    stamps: list[int],
    times: list[int],
    by_dts: bool,
    *,
    can_seek: bool,
    can_seek_begin: bool,
    num_missing: int,
) -> Timeline:
    time_base = stream.time_base or Fraction(1, 90000)
    seconds = np.array(times, np.float64) * time_base.numerator / time_base.denominator
    frame_of = {stamp: frame for frame, stamp in enumerate(stamps)}
    keys = [entry.dts if by_dts else entry.pts for entry in entries]
    durations = {key: entry.duration for key, entry in zip(keys, entries, strict=True)}
    last = durations.get(stamps[-1], 0) * float(time_base)
    if last <= 0:
        gaps = np.sort(np.diff(seconds))
        last = float(gaps[len(gaps) // 2]) if len(gaps) else float(1 / (stream.average_rate or 25))
    points: list[SeekPoint] = []
    if not can_seek or len(frame_of) < len(stamps) or len(durations) < len(entries) or None in durations:
        frame_of = {}
    else:
        points = [
            SeekPoint(frame_of[key], key)
            for key, entry in zip(keys[1:], entries[1:], strict=True)
            if entry.is_key and key is not None and key in frame_of
        ]
    points.sort(key=lambda point: point.frame)
    first_stamp = keys[0] if can_seek_begin else None
    return Timeline(seconds, float(seconds[-1]) + last, by_dts, tuple(points), frame_of, first_stamp, num_missing)
