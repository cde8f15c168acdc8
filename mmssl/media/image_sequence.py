"""A folder of numbered images as a video."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from mmssl.errors import DecodeError, MediaError
from mmssl.media.image import IMAGE_SUFFIXES, image_size, read_image
from mmssl.media.pixels import resized
from mmssl.media.video_file import Size, VideoFile

FPS = 25.0
"""Images carry no times; a folder of them is played at this speed, where no other is given."""


class ImageSequence(VideoFile):
    """A folder whose images, sorted by the last number in their names, are the frames.

    Args:
        path: The folder; files that are no images are ignored.
        fps: Images a second.

    Raises:
        MediaError: If the folder is missing or holds no image, an image has no number, two have the same, or a number is
            missing in between.
    """

    def __init__(self, path: Path, *, fps: int | float = FPS) -> None:
        self._files = _numbered_images(path)
        count = len(self._files)
        super().__init__(
            path,
            size=image_size(self._files[0]),
            pts_seconds=torch.arange(count, dtype=torch.float64) / fps,
            end_seconds=count / fps,
        )

    def _read(self, indices: Sequence[int], size: Size | None) -> Iterator[tuple[int, UInt8[Tensor, "h w 3"]]]:
        for index in indices:
            image = read_image(self._files[index])
            if tuple(image.shape[1:]) != self.size:
                raise DecodeError(
                    f"{self._files[index]}: is {image.shape[2]} x {image.shape[1]} pixels, the folder's first image is "
                    f"{self.size[1]} x {self.size[0]}"
                )
            yield index, resized(image, size or self.size).permute(1, 2, 0)

    def _read_range(self, start: int, stop: int, size: Size | None) -> Iterator[tuple[int, UInt8[Tensor, "h w 3"]]]:
        return self._read(range(start, stop), size)

    def close(self) -> None:
        """Nothing is held open."""


def _numbered_images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise MediaError(f"{folder}: no such folder")
    numbered: dict[int, Path] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() not in IMAGE_SUFFIXES or file.name.startswith("."):
            continue
        numbers = re.findall(r"\d+", file.stem)
        if not numbers:
            raise MediaError(f"{file}: has no number in its name; a folder of frames needs names such as 00000.jpg")
        number = int(numbers[-1])
        if number in numbered:
            raise MediaError(f"{folder}: {numbered[number].name} and {file.name} have the same number")
        numbered[number] = file
    if not numbered:
        raise MediaError(f"{folder}: holds no images")
    first, last = min(numbered), max(numbered)
    missing = sorted(set(range(first, last + 1)) - set(numbered)) if last - first < 10 * len(numbered) else []
    if missing:
        raise MediaError(f"{folder}: {len(missing)} images are missing, the first is number {missing[0]}")
    return [numbered[number] for number in sorted(numbered)]
