"""Still images: RGB in and out, and indexed PNG files for masks."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Integer, UInt8
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from mmssl.errors import DecodeError, MediaError
from mmssl.media.containers import MAX_PIXELS, check_dimensions, check_readable

DRAFT_FACTOR = 2
"""How many times larger than it is wanted a JPEG must be to be decoded at a reduced scale."""

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""Names that still images go by; a GIF counts as a video."""


def davis_palette() -> UInt8[Tensor, "256 3"]:
    """The colors of DAVIS and Pascal VOC masks: three bits of each index spread over red, green and blue, high bits first."""
    index = torch.arange(256)[:, None]
    channel = torch.arange(3)[None]
    color = torch.zeros(256, 3, dtype=torch.int64)
    for bit in range(8):
        color |= (index >> (3 * bit + channel) & 1) << (7 - bit)
    return color.to(torch.uint8)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """An image whose header has been read and found harmless; errors name the file."""
    check_readable(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                check_dimensions(path, image.width, image.height)
                yield image
    except UnidentifiedImageError as error:
        raise MediaError(f"{path}: is not an image") from error
    except Image.DecompressionBombError as error:
        raise MediaError(f"{path}: its header claims more than {MAX_PIXELS} pixels") from error
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError) as error:
        raise DecodeError(f"{path}: cannot be decoded: {error}") from error


def image_size(path: Path) -> tuple[int, int]:
    """Height and width as `read_image` gives them, from the header alone.

    Raises:
        MediaError: If the file is no image that can be read.
    """
    with _opened(path) as image:
        turned = image.getexif().get(0x0112, 1) >= 5
        return (image.width, image.height) if turned else (image.height, image.width)


def read_image(path: Path, *, at_least: tuple[int, int] | None = None) -> UInt8[Tensor, "3 height width"]:
    """Reads an image as RGB, upright.

    EXIF orientation is applied. Gray, palette, CMYK and 16-bit images become 8-bit RGB; transparent pixels are laid over
    white. Of an animation the first picture is read.

    Args:
        path: Of the image.
        at_least: A height and width that the image will be made smaller to. A JPEG of more than `DRAFT_FACTOR` times the
            larger of them, both ways, is decoded at half or a quarter of its size, which is faster; not smaller than that
            many times. An eighth, which libjpeg can do too, moves the embeddings of networks four times as far.

    Raises:
        MediaError: If the file is missing, empty, no image, or claims an absurd size.
        DecodeError: If the image is truncated or damaged.
    """
    with _opened(path) as image:
        if at_least is not None and image.format == "JPEG":
            least = DRAFT_FACTOR * max(at_least)
            image.draft(None, (max(least, image.width // 4), max(least, image.height // 4)))
        rgb = np.array(_as_rgb(ImageOps.exif_transpose(image)))
    return torch.from_numpy(rgb).permute(2, 0, 1).contiguous()


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if image.mode == "F":
        raise ValueError("holds floating-point pixels, which have no fixed range")
    if image.has_transparency_data:
        color = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", color.size, "white"), color).convert("RGB")
    return image.convert("RGB")


def _eight_bits(values: NDArray) -> NDArray[np.uint8]:
    """16-bit gray to 8 bits, full scale to full scale."""
    return np.round(np.clip(values.astype(np.float64), 0, 65535) / 257).astype(np.uint8)


def write_png(path: Path, image: UInt8[Tensor, "3 height width"]) -> None:
    """Writes RGB losslessly."""
    Image.fromarray(image.permute(1, 2, 0).cpu().numpy(), "RGB").save(path, "PNG")


def write_jpeg(path: Path, image: UInt8[Tensor, "3 height width"], *, quality: int = 88) -> None:
    """Writes RGB small, for pictures that people look at; what is measured goes into PNG."""
    path.write_bytes(encode_jpeg(image, quality=quality))


def encode_jpeg(image: UInt8[Tensor, "3 height width"], *, quality: int = 88) -> bytes:
    """The bytes of a JPEG file."""
    content = BytesIO()
    Image.fromarray(image.permute(1, 2, 0).cpu().numpy(), "RGB").save(content, "JPEG", quality=quality)
    return content.getvalue()


def read_index_png(path: Path) -> UInt8[Tensor, "height width"]:
    """Reads a mask: palette indices of an indexed PNG, or the values of an 8-bit gray one.

    Raises:
        MediaError: If the file is missing, no image, or in color.
        DecodeError: If the image is truncated or damaged.
    """
    with _opened(path) as image:
        if image.mode not in ("P", "L", "1"):
            raise MediaError(f"{path}: has mode {image.mode}; a mask must be an indexed or 8-bit gray image")
        return torch.from_numpy(np.array(image, dtype=np.uint8))


def write_index_png(
    path: Path, labels: Integer[Tensor, "height width"], palette: UInt8[Tensor, "colors 3"] | None = None
) -> None:
    """Writes a mask as an indexed PNG.

    Args:
        path: Where to.
        labels: 0 to 255.
        palette: Color of each label; None for the DAVIS palette.

    Raises:
        MediaError: If a label is outside 0 to 255.
    """
    low, high = (int(labels.min()), int(labels.max())) if labels.numel() else (0, 0)
    if low < 0 or high > 255:
        raise MediaError(f"{path}: labels run from {low} to {high}; an indexed PNG holds 0 to 255")
    image = Image.fromarray(labels.to(torch.uint8).cpu().numpy(), "L")
    image.putpalette((davis_palette() if palette is None else palette).flatten().tolist())
    image.save(path, "PNG")
