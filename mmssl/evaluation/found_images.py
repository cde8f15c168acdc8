"""Pictures of what sentences find: the nearest images side by side, the right ones framed."""

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn.functional import interpolate, pad

from mmssl.data.dataset import ClipSource, evenly_spaced
from mmssl.media.image import write_png

SHOWN_SIDE = 112
FRAME_PIXELS = 4
RIGHT, OTHER = (46, 160, 67), (255, 255, 255)
LONGEST_NAME = 90


def draw_found_images(
    out: Path,
    source: ClipSource,
    places: Sequence[int],
    texts: Sequence[str],
    similarity: Float[Tensor, "texts images"],
    right: Bool[Tensor, "texts images"],
    *,
    num_texts: int = 10,
    num_images: int = 6,
) -> None:
    """Writes a picture for each of some texts, with the text as its name: the images that are nearest to it.

    Args:
        out: Gets the pictures.
        source: Of the images; the middle frame of a clip is shown.
        places: Of the images in the source.
        texts: Evenly spread ones are shown.
        similarity: Of each text to each image.
        right: Whether the image belongs to the text: it is framed in green.
        num_texts: That are shown.
        num_images: That are shown of each.
    """
    out.mkdir(parents=True, exist_ok=True)
    for number in evenly_spaced(len(texts), num_texts):
        nearest = similarity[number].topk(min(num_images, len(places))).indices.tolist()
        clips = source.clips([places[place] for place in nearest])
        tiles = [
            _tile(clip[len(clip) // 2], framed=bool(right[number, place]))
            for clip, place in zip(clips, nearest, strict=True)
        ]
        name = re.sub(r"[^\w ,'-]+", "", texts[number])[:LONGEST_NAME].strip() or str(number)
        write_png(out / f"{name}.png", torch.cat(tiles, dim=2))


def _tile(image: UInt8[Tensor, "3 height width"], *, framed: bool) -> UInt8[Tensor, "3 side side"]:
    """An image as a square with a frame."""
    side = SHOWN_SIDE - 2 * FRAME_PIXELS
    inner = interpolate(image[None], (side, side), mode="bilinear", antialias=True)[0]
    color = torch.tensor(RIGHT if framed else OTHER, dtype=torch.uint8)[:, None, None]
    whole = pad(inner, (FRAME_PIXELS,) * 4)
    inside = pad(torch.ones(side, side, dtype=torch.bool), (FRAME_PIXELS,) * 4)
    return torch.where(inside, whole, color)
