"""Videos whose frames carry their own number, readable after lossy coding."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

BITS = 10
COLUMNS, ROWS = 8, 6


def picture(number: int, *, width: int = 128, height: int = 96) -> np.ndarray:
    """A frame: its number in black and white blocks (the first row and a quarter), and a texture that moves."""
    y, x = np.mgrid[:height, :width]
    gray = 110 + 40 * np.sin((x + 3 * number) / 9) * np.cos((y - 2 * number) / 7)
    image = np.stack([gray, np.roll(gray, 7, 0), np.roll(gray, 5, 1)], -1)
    for bit in range(BITS):
        row, column = divmod(bit, COLUMNS)
        top, bottom = row * height // ROWS, (row + 1) * height // ROWS
        left, right = column * width // COLUMNS, (column + 1) * width // COLUMNS
        image[top:bottom, left:right] = 225 if number >> bit & 1 else 30
    return image.astype(np.uint8)


def number_of(frame: Tensor) -> int:
    """The number that a frame [3, height, width] carries."""
    gray = frame.to(torch.float32).mean(0)
    height, width = gray.shape
    number = 0
    for bit in range(BITS):
        row, column = divmod(bit, COLUMNS)
        y, x = int((row + 0.5) * height / ROWS), int((column + 0.5) * width / COLUMNS)
        number |= int(gray[y - 2 : y + 3, x - 2 : x + 3].mean() > 128) << bit
    return number


def numbers_of(frames: Tensor) -> list[int]:
    return [number_of(frame) for frame in frames]


@contextmanager
def own_scheduling() -> Iterator[None]:
    """Leaves the thread as it was scheduled: SVT-AV1's encoder, run as root, puts it above every other process."""
    policy = os.sched_getscheduler(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, os.sched_param(0))


def write_numbered(
    path: Path,
    *,
    codec: str,
    num_frames: int = 90,
    options: dict[str, str] | None = None,
    pix_fmt: str = "yuv420p",
    width: int = 128,
    height: int = 96,
    pts: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 25),
    container_options: dict[str, str] | None = None,
    has_b_frames: int | None = None,
    shift: int = 0,
) -> None:
    """Writes frames 0 .. num_frames - 1; `shift` is subtracted from all time stamps after encoding."""
    with own_scheduling(), av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.codec_context.time_base = time_base
        stream.codec_context.thread_count = 1
        if has_b_frames is not None:
            stream.codec_context.max_b_frames = has_b_frames
        ticks = Fraction(1, 25) / time_base
        for number in range(num_frames):
            frame = av.VideoFrame.from_ndarray(picture(number, width=width, height=height), "rgb24").reformat(
                format=pix_fmt
            )
            frame.pts = int(number * ticks) if pts is None else pts[number]
            frame.time_base = time_base
            _mux(container, stream.encode(frame), shift)
        _mux(container, stream.encode(None), shift)


def _mux(container: av.container.OutputContainer, packets: list, shift: int) -> None:
    for packet in packets:
        if shift:
            packet.pts -= shift
            packet.dts -= shift
        container.mux(packet)


def rotate_mp4(path: Path, quarter_turns: int) -> None:
    """Asks for clockwise turns when an MP4 is shown."""
    set_display_matrix(path, *[(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)][quarter_turns % 4])


def set_display_matrix(path: Path, a: float, b: float, c: float, d: float) -> None:
    """Writes a display matrix into the track header of an MP4: pixel (x, y) is shown at (a x + c y, b x + d y)."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 4 + 20 + 16
    matrix = [
        *(round(65536 * value) for value in (a, b)),
        0,
        *(round(65536 * value) for value in (c, d)),
        0,
        0,
        0,
        1 << 30,
    ]
    data[at : at + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in matrix)
    path.write_bytes(data)
