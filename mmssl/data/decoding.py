"""From a manifest row to clips: open, sample, resize, crop."""

from itertools import pairwise
from math import ceil
from pathlib import Path

import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from mmssl.data.manifest import ManifestRow
from mmssl.errors import DecodeError
from mmssl.functional.random import ItemRandom
from mmssl.media.clip import Clip
from mmssl.media.image import read_image
from mmssl.media.sampling import Sampler, sample_clips
from mmssl.media.video import Size, VideoFile, open_video

MOTION_SIZE = (32, 32)
"""Size at which motion is measured."""


def decode_row(
    path: Path, row: ManifestRow, *, sampler: Sampler, size: Size, seed: int, epoch: int, item: int
) -> list[Clip]:
    """Decodes the clips that a sampler picks from a row's video, or a row's image as a clip of one frame.

    Pictures are resized, antialiased and in proportion, to the smallest size that covers `size`, then cropped at the center.

    Args:
        path: The row's file.
        row: Gives the kind of media and the segment.
        sampler: See `mmssl.media.sampling`.
        size: Height and width of the clips.
        seed: Of the run.
        epoch: Pass over the data.
        item: The row's position, which its random numbers belong to.

    Raises:
        MediaError: If the row is sound, or its file cannot be decoded to what was asked for.
    """
    if row.media_type == "image":
        image = read_image(path)[None]
        covering = interpolate(image, _covering(tuple(image.shape[2:]), size), mode="bilinear", antialias=True)
        return [Clip(_center_crop(covering, size), torch.zeros(1, dtype=torch.float64))]
    if row.media_type != "video":
        raise DecodeError(f"{path}: is {row.media_type}; clips are decoded from videos and images")
    with open_video(path) as video:
        motion = frame_motion(video) if getattr(sampler, "needs_motion", False) else None
        end = video.end_seconds if row.end is None else row.end
        try:
            chosen = sample_clips(
                sampler,
                video.pts_seconds,
                start_seconds=row.start,
                end_seconds=end,
                random=ItemRandom(seed, epoch, [item]),
                motion=motion,
            )
        except DecodeError as error:
            raise DecodeError(f"{path}: {error}") from error
        flat = video.frames([index for clip in chosen for index in clip], size=_covering(video.size, size))
        frames = torch.split(_center_crop(flat, size), [len(clip) for clip in chosen])
        length = end - (float(video.pts_seconds[0]) if row.start is None else row.start)
        return [
            Clip(pixels, _times(video.pts_seconds, clip, length)) for pixels, clip in zip(frames, chosen, strict=True)
        ]


def frame_motion(video: VideoFile) -> Float[Tensor, " frames"]:
    """Mean absolute difference of each frame from the one before, at low resolution, in 0..255; 0 for the first."""
    motion = torch.zeros(video.num_frames)
    before: Tensor | None = None
    for index, frame in video.iterate(size=MOTION_SIZE):
        now = frame.to(torch.float32)
        if before is not None:
            motion[index] = (now - before).abs().mean()
        before = now
    return motion


def _times(
    pts_seconds: Float64[Tensor, " frames"], indices: list[int], length: int | float
) -> Float64[Tensor, " clip"]:
    """Presentation times of a clip; each time it starts its segment again they go on by the segment's length."""
    rounds = torch.tensor([0, *(after < before for before, after in pairwise(indices))]).cumsum(0)
    return pts_seconds[indices] + rounds * length


def _covering(size: tuple[int, ...], target: Size) -> Size:
    """The smallest size in proportion to `size` that covers `target`."""
    scale = max(target[0] / size[0], target[1] / size[1])
    return max(target[0], ceil(size[0] * scale - 1e-6)), max(target[1], ceil(size[1] * scale - 1e-6))


def _center_crop(
    frames: UInt8[Tensor, "frames 3 covering_height covering_width"], size: Size
) -> UInt8[Tensor, "frames 3 height width"]:
    top, left = (frames.shape[2] - size[0]) // 2, (frames.shape[3] - size[1]) // 2
    return frames[:, :, top : top + size[0], left : left + size[1]].contiguous()
