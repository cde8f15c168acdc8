"""Where results lie in an output folder, and how masks are written: whole, indexed up to id 255, 16 bits of gray beyond."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Integer
from PIL import Image
from torch import Tensor

from mmssl.media.image import read_index_png, write_index_png


def mask_file(out: Path, frame: int) -> Path:
    """Where the mask of a frame lies in an output folder."""
    return out / "masks" / f"{frame:05}.png"


def soft_mask_file(out: Path, object_id: int, frame: int) -> Path:
    """Where the soft mask of an object lies in an output folder."""
    return out / "soft_masks" / f"{object_id}" / f"{frame:05}.png"


def write_mask(path: Path, mask: Integer[Tensor, "height width"]) -> None:
    """Writes an index mask."""
    if mask.dtype == torch.uint8:
        write_index_png(path, mask)
    else:
        Image.fromarray(mask.numpy().astype(np.uint16)).save(path, "PNG")


def read_mask_file(path: Path) -> Integer[Tensor, "height width"]:
    """Reads what `write_mask` wrote."""
    with Image.open(path) as image:
        if image.mode == "P":
            return read_index_png(path)
        return torch.from_numpy(np.asarray(image).astype(np.int32))


def write_soft_mask(path: Path, soft: Float[Tensor, "height width"]) -> None:
    """Writes 0 to 1 as 0 to 65535 in a 16-bit gray PNG."""
    values = (soft.double() * 65535).round().numpy().astype(np.uint16)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, "PNG")
