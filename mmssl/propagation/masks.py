"""Masks as channels of cells, and back: one channel for the background and one for each object."""

from pathlib import Path

import torch
from jaxtyping import Float, Integer, UInt8
from torch import Tensor
from torch.nn import functional as F

from mmssl.errors import LabelError, MediaError
from mmssl.media.image import read_index_png
from mmssl.propagation.presets import Preset

VOID = 255
"""In a mask of several objects, pixels that belong to nobody; alone in a mask it is the one object."""


def read_mask(path: Path, size: tuple[int, int]) -> UInt8[Tensor, "height width"]:
    """Reads an indexed PNG: 0 is the background, other indices are objects, `VOID` alone is one.

    Pixels of `VOID` beside other objects get no label at all: cells there vote for no channel.

    Args:
        path: The PNG.
        size: Height and width it must have.

    Raises:
        LabelError: If it cannot be read, has another size than the video, or holds no object.
    """
    try:
        mask = read_index_png(path)
    except MediaError as error:
        raise LabelError(f"labels cannot be read: {error}") from error
    if tuple(mask.shape) != size:
        got, wanted = f"{mask.shape[1]} x {mask.shape[0]}", f"{size[1]} x {size[0]}"
        raise LabelError(
            f"{path}: labels are {got} pixels, the video's frames {wanted}; draw them on a frame as it is shown"
        )
    mask = normalize_mask(mask, is_single=not objects_of(mask))
    if not objects_of(mask):
        raise LabelError(f"{path}: no object is labelled; every pixel is background (index 0)")
    return mask


def normalize_mask(mask: UInt8[Tensor, "height width"], *, is_single: bool) -> UInt8[Tensor, "height width"]:
    """Names the object of a mask of a single one 1, whatever its index; leaves other masks as they are.

    Args:
        mask: Indices.
        is_single: Whether the video's first mask is {0, 255}, as DAVIS-2016 has them.
    """
    return (mask > 0).to(torch.uint8) if is_single else mask


def objects_of(mask: UInt8[Tensor, "height width"]) -> tuple[int, ...]:
    """The indices of the objects in a mask, rising; neither background nor void."""
    return tuple(int(index) for index in torch.unique(mask) if 0 < index < VOID)


def input_size(size: tuple[int, int], preset: Preset) -> tuple[int, int]:
    """Height and width at which frames of a given size are encoded.

    The shorter side becomes `preset.short_side`; the longer one follows in proportion and is rounded down to a multiple
    of `preset.size_multiple` (854 x 480 becomes 832 x 480 with 64), so that cells cover the frame exactly.
    """
    short, long = min(size), max(size)
    multiple = preset.size_multiple
    scaled = max(multiple, preset.short_side * long // short // multiple * multiple)
    return (preset.short_side, scaled) if size[0] <= size[1] else (scaled, preset.short_side)


def cells_from_mask(
    mask: Integer[Tensor, "height width"], objects: tuple[int, ...], cells: tuple[int, int]
) -> Float[Tensor, "channels h w"]:
    """One-hot labels of cells: background first, then each object; a cell takes the label of the pixel at its center.

    An object too small to hold the center of any cell gets the cell that it covers most, so that it is not lost at once;
    the channel of an object that is not in the mask is zero.
    """
    rows = ((torch.arange(cells[0]) + 0.5) * mask.shape[0] / cells[0]).long()
    columns = ((torch.arange(cells[1]) + 0.5) * mask.shape[1] / cells[1]).long()
    small = mask[rows][:, columns]
    for index in objects:
        inside = mask == index
        if not bool((small == index).any()) and bool(inside.any()):
            covered = F.adaptive_avg_pool2d(inside.float()[None], cells)[0]
            small.view(-1)[int(covered.argmax())] = index
    return torch.stack([small == index for index in (0, *objects)]).float()


def mask_from_cells(
    labels: Float[Tensor, "channels h w"],
    objects: tuple[int, ...],
    *,
    encoded: tuple[int, int],
    size: tuple[int, int],
    preset: Preset,
) -> Integer[Tensor, "height width"]:
    """The mask that soft labels of cells stand for, at the video's own size.

    Args:
        labels: Background first, then each object.
        objects: Index of each object channel.
        encoded: Height and width of the frame that was encoded, to which cells are upsampled.
        size: Height and width of the video's frames, to which the mask is brought by nearest neighbor.
        preset: Says how to upsample, and whether channels are stretched first.
    """
    options = {"mode": "bilinear", "align_corners": False} if preset.upsampling == "bilinear" else {"mode": "nearest"}
    pixels = F.interpolate(labels[None], size=encoded, **options)[0]
    if preset.stretch_channels:
        low = pixels.amin(dim=(1, 2), keepdim=True)
        spread = pixels.amax(dim=(1, 2), keepdim=True) - low
        pixels = torch.where(spread > 0, (pixels - low) / spread.clamp(min=1e-12), pixels)
    indices = torch.tensor((0, *objects), device=labels.device)[pixels.argmax(dim=0)]
    whole = F.interpolate(indices[None, None].float(), size=size, mode="nearest-exact")[0, 0]
    return whole.to(torch.uint8 if max(objects, default=0) <= 255 else torch.int32).cpu()
