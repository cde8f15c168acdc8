"""Writing video."""

from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from mmssl.errors import MediaError
from mmssl.media.video_file import Size


class VideoWriter:
    """Writes H.264 in MP4; the file appears under its name when it is whole.

    Frames become yuv420p, BT.601 limited range and marked as such, at constant quality; odd sizes are padded by
    repeating the last row or column. The bytes depend on the frames and the settings alone.

    Args:
        path: File to write, ending in `.mp4`.
        fps: Frames a second.
        size: Height and width of the frames.
        lossless: Keeps RGB exactly (H.264 in RGB, which browsers do not show); no padding.

    Raises:
        MediaError: If the file cannot be written.
    """

    def __init__(self, path: Path, *, fps: int | float | Fraction, size: Size, lossless: bool = False) -> None:
        self.path = path
        self.size = size
        self._partial = path.with_name(f".{path.stem}.partial{path.suffix}")
        self._pad = (0, 0) if lossless else (size[0] % 2, size[1] % 2)
        if not path.parent.is_dir():
            raise MediaError(f"{path}: cannot be written: there is no folder {path.parent}")
        rate = Fraction(fps).limit_denominator(1_000_000)
        try:
            self._container = av.open(f"file:{self._partial}", "w", format="mp4")
        except (av.error.FFmpegError, OSError) as error:
            raise MediaError(f"{path}: cannot be written: {error.strerror or error}") from error
        # Macroblock trees make x264 give other bytes now and then for the same small frames.
        lossy = {"preset": "veryfast", "crf": "20", "x264-params": "mbtree=0"}
        options = {"preset": "veryfast", "qp": "0"} if lossless else lossy
        stream = self._container.add_stream("libx264rgb" if lossless else "libx264", rate=rate, options=options)
        stream.height, stream.width = size[0] + self._pad[0], size[1] + self._pad[1]
        stream.pix_fmt = "rgb24" if lossless else "yuv420p"
        stream.codec_context.thread_count = 1
        if not lossless:
            stream.codec_context.colorspace = 6
            stream.codec_context.color_range = 1
        self._stream = stream
        self._count = 0
        self._is_open = True

    def write(self, frame: UInt8[Tensor, "3 height width"]) -> None:
        """Appends a frame.

        Raises:
            MediaError: If it is not of the writer's size.
        """
        if tuple(frame.shape[1:]) != self.size:
            raise MediaError(f"{self.path}: frame of size {tuple(frame.shape[1:])}, the video has {self.size}")
        pixels = np.ascontiguousarray(frame.permute(1, 2, 0).cpu().numpy())
        if any(self._pad):
            pixels = np.pad(pixels, ((0, self._pad[0]), (0, self._pad[1]), (0, 0)), mode="edge")
        picture = av.VideoFrame.from_ndarray(pixels, "rgb24")
        picture.pts = self._count
        self._count += 1
        self._container.mux(self._stream.encode(picture))

    def close(self) -> None:
        """Finishes the file and gives it its name.

        Raises:
            MediaError: If no frame was written.
        """
        if not self._is_open:
            return
        if self._count == 0:
            self._abandon()
            raise MediaError(f"{self.path}: no frame was written")
        self._container.mux(self._stream.encode(None))
        self._container.close()
        self._is_open = False
        self._partial.replace(self.path)

    def _abandon(self) -> None:
        self._is_open = False
        self._container.close()
        self._partial.unlink(missing_ok=True)

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        elif self._is_open:
            self._abandon()
