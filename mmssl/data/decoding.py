"""From a manifest row to clips: open, sample, resize, crop."""

from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from pathlib import Path

import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from mmssl.data.manifest import ManifestRow
from mmssl.data.sound import ClipSize, PicturesAndSound, Sound, decode_sound
from mmssl.data.sound_beside import with_sound
from mmssl.errors import DecodeError
from mmssl.functional.random import ItemRandom
from mmssl.media.clip import Clip
from mmssl.media.image import read_image
from mmssl.media.sampling import Sampler, sample_clips
from mmssl.media.video import Size, VideoFile, open_video

WHOLE = (0.0, 0.0, 1.0, 1.0)

MOTION_SIDE = 32
"""Shorter side of the part of the picture that motion is measured on, in pixels."""


def decode_row(
    path: Path, row: ManifestRow, *, sampler: Sampler, size: ClipSize, seed: int, epoch: int, item: int
) -> list[Clip]:
    """Decodes the clips that a sampler picks from a row's video or sound, or a row's image as a clip of one frame.

    Pictures are resized, antialiased and in proportion, so that the part that matters just covers `size`, then cropped at
    its center. That part is the row's `extra["box"]`, `[top, left, bottom, right]` as shares of height and width, such as a
    speaker's mouth; without one it is the whole picture.

    Args:
        path: The row's file.
        row: Gives the kind of media and the segment.
        sampler: See `mmssl.media.sampling`.
        size: Height and width of the clips' pictures; or windows of sound, for which see `decode_sound`; or both, for which
            see `with_sound`.
        seed: Of the run.
        epoch: Pass over the data.
        item: The row's position, which its random numbers belong to.

    Raises:
        MediaError: If the row holds no pictures where they are wanted, or its file cannot be decoded to what was asked for.
    """
    if isinstance(size, Sound):
        return decode_sound(path, row, sampler=sampler, sound=size, seed=seed, epoch=epoch, item=item)
    if isinstance(size, PicturesAndSound):
        if row.media_type == "image":
            raise DecodeError(f"{path}: is an image, which has no sound")
        seen = decode_row(path, row, sampler=sampler, size=size.size, seed=seed, epoch=epoch, item=item)
        return with_sound(path, row, seen, sound=size.sound)
    if row.media_type == "image":
        image = read_image(path)[None]
        framing = framing_of(path, row, (image.shape[2], image.shape[3]), size)
        covering = interpolate(image, framing.covering, mode="bilinear", antialias=True)
        return [Clip(framing.crop(covering), torch.zeros(1, dtype=torch.float64))]
    if row.media_type != "video":
        raise DecodeError(f"{path}: is {row.media_type}, which has no pictures; set sound in place of size to hear it")
    with open_video(path) as video:
        framing = framing_of(path, row, video.size, size)
        motion = None
        if getattr(sampler, "needs_motion", False):
            shorter = min(size)
            coarse = (round(MOTION_SIDE * size[0] / shorter), round(MOTION_SIDE * size[1] / shorter))
            motion = frame_motion(video, framing_of(path, row, video.size, coarse))
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
        flat = video.frames([index for clip in chosen for index in clip], size=framing.covering)
        frames = torch.split(framing.crop(flat), [len(clip) for clip in chosen])
        length = end - (float(video.pts_seconds[0]) if row.start is None else row.start)
        return [
            Clip(pixels, _times(video.pts_seconds, clip, length)) for pixels, clip in zip(frames, chosen, strict=True)
        ]


def _times(
    pts_seconds: Float64[Tensor, " frames"], indices: list[int], length: int | float
) -> Float64[Tensor, " clip"]:
    """Presentation times of a clip; each time it starts its segment again they go on by the segment's length."""
    rounds = torch.tensor([0, *(after < before for before, after in pairwise(indices))]).cumsum(0)
    return pts_seconds[indices] + rounds * length


@dataclass(frozen=True)
class Framing:
    """How pictures become clips: resized to `covering`, then cut to `size` from `corner` (top, left) on."""

    covering: Size
    corner: tuple[int, int]
    size: Size

    def crop(
        self, frames: UInt8[Tensor, "frames 3 covering_height covering_width"]
    ) -> UInt8[Tensor, "frames 3 height width"]:
        """The part to keep of pictures that are resized already."""
        (top, left), (height, width) = self.corner, self.size
        return frames[:, :, top : top + height, left : left + width].contiguous()


def frame_motion(video: VideoFile, framing: Framing) -> Float[Tensor, " frames"]:
    """Mean absolute difference of each frame from the one before, of what the framing shows, in 0..255; 0 for the first."""
    motion = torch.zeros(video.num_frames)
    before: Tensor | None = None
    for index, frame in video.iterate(size=framing.covering):
        now = framing.crop(frame[None]).to(torch.float32)
        if before is not None:
            motion[index] = (now - before).abs().mean()
        before = now
    return motion


def framing_of(path: Path, row: ManifestRow, full: Size, size: Size) -> Framing:
    """The smallest framing in which the row's box covers `size`."""
    box = row.extra.get("box", WHOLE)
    try:
        top, left, bottom, right = (round(share * side) for share, side in zip(box, (*full, *full), strict=True))
    except (TypeError, ValueError):
        top = left = bottom = right = 0
    if not (0 <= top < bottom <= full[0] and 0 <= left < right <= full[1]):
        raise DecodeError(
            f"{path}: its box is {box!r}; it must be [top, left, bottom, right] as shares of height and width, 0 to 1"
        )
    scale = max(size[0] / (bottom - top), size[1] / (right - left))
    covering = tuple(max(want, ceil(side * scale - 1e-6)) for want, side in zip(size, full, strict=True))
    corner = tuple(
        min(max(int((both * cover / side - want) // 2), 0), cover - want)
        for both, cover, side, want in zip((top + bottom, left + right), covering, full, size, strict=True)
    )
    return Framing((covering[0], covering[1]), (corner[0], corner[1]), size)
