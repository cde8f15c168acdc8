"""What a worker process does: a file to the frames that the image tower is to see."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from mmssl.data.manifest import ManifestRow
from mmssl.errors import DecodeError
from mmssl.functional.framing import Framing, framed
from mmssl.functional.picture_grid import picture_grid
from mmssl.functional.random import ItemRandom
from mmssl.media.image import encode_jpeg, read_image
from mmssl.media.sampling import Uniform, sample_clips
from mmssl.media.video import open_video

THUMBNAIL_PIXELS = 160
THUMBNAIL_FRAMES, THUMBNAIL_COLUMNS = 4, 2
"""Of a video."""


@dataclass(frozen=True)
class Pictures:
    """The frames that stand for an image, a video or segments of one.

    Args:
        frames: Of all segments, one after the other, as the image tower wants them.
        spans: Begin and end of each segment in seconds; None for an image.
    """

    frames: UInt8[Tensor, "frames 3 height width"]
    spans: tuple[tuple[float, float] | None, ...]


@dataclass(frozen=True)
class PictureTask:
    """A file to look at.

    Args:
        row: Says where it is, and the part of it that counts.
        num_frames: Of a video, or of each of its segments.
        segment_seconds: Length of the segments that a video is cut into; None for the whole of it as one.
    """

    row: ManifestRow
    num_frames: int
    segment_seconds: float | None


def read_pictures(task: PictureTask, *, framing: Framing) -> Pictures:
    """Decodes a file to frames.

    Raises:
        MediaError: If the file is missing, damaged, or shows nothing.
    """
    row, path = task.row, Path(task.row.uri)
    if row.media_type == "image":
        return Pictures(framed(read_image(path, at_least=framing.size)[None], framing), (None,))
    if row.media_type != "video":
        raise DecodeError(f"{path}: is {row.media_type}; only images and videos can be classified")
    with open_video(path) as video:
        first = float(video.pts_seconds[0]) if row.start is None else float(row.start)
        last = min(video.end_seconds, float("inf") if row.end is None else float(row.end))
        spans = segments(first, last, task.segment_seconds)
        sampler = Uniform(num_frames=task.num_frames, past_end="repeat_last")
        frames = []
        for start, end in spans:
            (chosen,) = sample_clips(
                sampler, video.pts_seconds, start_seconds=start, end_seconds=end, random=ItemRandom(0, 0, [0])
            )
            frames.append(framed(video.frames(chosen), framing))
    return Pictures(torch.cat(frames), tuple(spans))


def segments(first: float, last: float, length: float | None) -> list[tuple[float, float]]:
    """Begin and end of the parts of a stretch of time; a rest of less than half a part belongs to the part before it."""
    if length is None or last - first <= 1.5 * length:
        return [(first, last)]
    count = int((last - first) / length + 0.5)
    starts = [first + number * length for number in range(count)]
    return list(zip(starts, [*starts[1:], last], strict=True))


def thumbnail(row: ManifestRow) -> bytes:
    """A small JPEG of an image; of a video or a segment, four frames of it in the order of time, line by line.

    Raises:
        MediaError: If the file is missing or damaged.
    """
    path = Path(row.uri)
    if row.media_type == "image":
        return encode_jpeg(_small(read_image(path, at_least=(THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))[None])[0], quality=80)
    with open_video(path) as video:
        sampler = Uniform(num_frames=THUMBNAIL_FRAMES, past_end="repeat_last")
        end = video.end_seconds if row.end is None else row.end
        (chosen,) = sample_clips(
            sampler, video.pts_seconds, start_seconds=row.start, end_seconds=end, random=ItemRandom(0, 0, [0])
        )
        frames = _small(video.frames(chosen)).float().div(255)
    grid = picture_grid(torch.split(frames, THUMBNAIL_COLUMNS))
    return encode_jpeg(grid.mul(255).round().to(torch.uint8), quality=80)


def _small(
    images: UInt8[Tensor, "frames 3 height width"],
) -> UInt8[Tensor, "frames 3 new_height new_width"]:
    """Images whose longer side is that of a thumbnail."""
    scale = max(images.shape[2:]) / THUMBNAIL_PIXELS
    size = (max(1, round(images.shape[2] / scale)), max(1, round(images.shape[3] / scale)))
    return framed(images, Framing(size, mode="squash", bicubic=False))
