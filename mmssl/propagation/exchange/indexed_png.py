"""Index masks as PNG files: one file for one frame, or a folder `00000.png`, `00001.png`, ... as DAVIS has them.

A pixel's value is its object's id. Files have a palette (DAVIS's colors, or the objects' own) up to id 255, and 16 bits of gray
beyond. A mask whose only values are 0 and 255 is a mask of object 1, as single-object data sets write it.

Does not hold: boxes and points (refused); names, confidences, lost flags and objects without labels (announced).
"""

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from mmssl.errors import LabelError
from mmssl.media.image import davis_palette
from mmssl.propagation.exchange.building import LabelBuilder, frame_of_name
from mmssl.propagation.exchange.files import naming, read_bytes, write_whole
from mmssl.propagation.exchange.losses import announce_losses, check_kinds
from mmssl.propagation.video_labels import IndexMask, LabelObject, LabelWarning, VideoLabels

Palette = tuple[tuple[int, int, int], ...]
FORM = "indexed PNG"
INDEX_MODES = ("1", "L", "P", "I", "I;16", "I;16B")
MANY_OBJECTS = 32


DAVIS_PALETTE: Palette = tuple((red, green, blue) for red, green, blue in davis_palette().tolist())


def read(
    path: Path,
    *,
    size: tuple[int, int],
    num_frames: int | None = None,
    pts_seconds: Sequence[float] | None = None,
    frame: int = 0,
    first_number: int = 0,
) -> VideoLabels:
    """Reads one PNG, or all of a folder.

    Args:
        path: A file, or a folder of files whose names end in their frame's number.
        size: Height and width of the video in pixels.
        num_frames: Frames of the video.
        pts_seconds: Presentation time of each frame of the video.
        frame: Frame of a single file.
        first_number: Number of frame 0 in a folder's file names.

    Raises:
        LabelError: If a file is no index mask, has another size than the video, or lies past its end.
    """
    if not path.is_dir():
        files = {frame: path}
    else:
        files = {}
        for file in sorted(path.glob("*.png")):
            with naming(path):
                index = frame_of_name(file.name) - first_number
            if index in files:
                raise LabelError(f"{path}: {files[index].name} and {file.name} are both frame {index}")
            files[index] = file
        if not files:
            raise LabelError(f"{path}: the folder holds no .png file")
    masks: dict[int, IndexMask] = {}
    colors: dict[int, tuple[int, int, int]] = {}
    counts = np.zeros(65536, dtype=np.int64)
    for index, file in files.items():
        masks[index], palette = _read_file(file, size)
        counts += np.bincount(masks[index].reshape(-1), minlength=65536)
        if palette is not None:
            colors |= {value: color for value, color in enumerate(palette) if color != DAVIS_PALETTE[value]}
    values = [int(value) for value in np.flatnonzero(counts[1:]) + 1]
    if 255 in values and len(values) > MANY_OBJECTS:
        warnings.warn(
            f"{path}: holds {len(values)} objects, as many as gray values; if this is a soft mask, make it 0 and 255 only",
            LabelWarning,
            stacklevel=2,
        )
    if values == [255]:
        masks = {index: (mask != 0).astype(np.uint8) for index, mask in masks.items()}
        values, colors = [1], {}
    objects = [LabelObject(value, f"object {value}", "mask", color=colors.get(value)) for value in values]
    with naming(path):
        builder = LabelBuilder(path, objects, size=size, num_frames=num_frames, pts_seconds=pts_seconds)
        for index, mask in masks.items():
            builder.put_index_mask(index, mask)
        return builder.build()


def _read_file(path: Path, size: tuple[int, int]) -> tuple[IndexMask, Palette | None]:
    data = read_bytes(path)
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if image.size != (size[1], size[0]):
                raise LabelError(
                    f"{path}: the mask has {image.width} x {image.height} pixels, the video {size[1]} x {size[0]}"
                )
            if image.mode not in INDEX_MODES:
                raise LabelError(
                    f"{path}: is a color picture ({image.mode}); expected a palette or gray PNG whose values are object ids"
                )
            values = np.asarray(image) * np.uint8(255 if image.mode == "1" else 1)
            colors = image.getpalette("RGB") if image.mode == "P" else None
    except LabelError:
        raise
    except UnidentifiedImageError as error:
        raise LabelError(f"{path}: is not a PNG, or cut short: it has no header that says what it is") from error
    except Exception as error:
        raise LabelError(f"{path}: is not a PNG, or cut short: {' '.join(str(error).split())}") from error
    if values.dtype.itemsize > 1 and values.max(initial=0) > 65535:
        raise LabelError(f"{path}: holds the value {values.max()}; object ids go up to 65535")
    palette = None if colors is None else tuple(zip(colors[::3], colors[1::3], colors[2::3], strict=True))
    if palette is not None and all(red == green == blue for red, green, blue in palette):
        palette = None
    mask = np.ascontiguousarray(values, dtype=np.uint8 if values.max(initial=0) <= 255 else np.uint16)
    return mask, palette


def write(path: Path, labels: VideoLabels, *, first_number: int = 0) -> None:
    """Writes one file for labels of one frame where the name ends in `.png`, else a folder.

    Args:
        path: File or folder.
        labels: Masks only.
        first_number: Number of frame 0 in a folder's file names.

    Raises:
        LabelError: If there are labels other than masks, or several frames for one file.
    """
    with naming(path):
        check_kinds(labels, FORM, ("mask",))
        announce_losses(path, labels, FORM, held={"ids", "colors", "frames without any object"})
        masks = {index: frame.mask for index, frame in labels.frames.items() if frame.mask is not None}
        colors = {each.id: each.color for each in labels.objects if each.color is not None}
        wide = max(each.id for each in labels.objects) > 255
        if path.suffix.lower() == ".png":
            if len(masks) > 1:
                raise LabelError(f"one file holds one frame, and {len(masks)} are labeled; give a folder")
            files = dict.fromkeys(masks, path)
        else:
            files = {index: path / f"{index + first_number:05d}.png" for index in masks}
        for index, file in files.items():
            write_whole(file, _png(masks[index], colors, wide=wide))


def _png(mask: IndexMask, colors: dict[int, tuple[int, int, int]], *, wide: bool) -> bytes:
    if wide:
        image = Image.fromarray(mask.astype(np.uint16))
    else:
        image = Image.fromarray(mask.astype(np.uint8), "L")
        palette = [colors.get(value, color) for value, color in enumerate(DAVIS_PALETTE)]
        image.putpalette([channel for color in palette for channel in color])
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
