"""How an image of any shape becomes the one that a network was trained with."""

from dataclasses import dataclass
from typing import Literal

from jaxtyping import UInt8
from torch import Tensor
from torch.nn.functional import interpolate, pad


@dataclass(frozen=True)
class Framing:
    """A resize and a crop.

    Args:
        size: Height and width of the result in pixels.
        mode: `cover` keeps the proportions and crops what is too much at the center, `contain` keeps them and fills what is
            missing, `squash` changes them.
        bicubic: Whether the filter is bicubic, and not bilinear; both are antialiased.
        fill: Value of the pixels that `contain` adds, 0 to 255.
    """

    size: tuple[int, int]
    mode: Literal["cover", "contain", "squash"] = "cover"
    bicubic: bool = True
    fill: int = 0

    def resized(self, full: tuple[int, int]) -> tuple[int, int]:
        """Height and width to which an image of some height and width is resized, before the crop."""
        if self.mode == "squash":
            return self.size
        ratios = [want / side for want, side in zip(self.size, full, strict=True)]
        scale = max(ratios) if self.mode == "cover" else min(ratios)
        fits = ratios.index(scale)
        if self.mode == "contain":
            found = [max(1, round(side * scale)) for side in full]
        else:
            found = [max(want, int(side * scale + 1e-6)) for want, side in zip(self.size, full, strict=True)]
        found[fits] = self.size[fits]
        return found[0], found[1]


def framed(
    images: UInt8[Tensor, "batch 3 height width"], framing: Framing
) -> UInt8[Tensor, "batch 3 new_height new_width"]:
    """Images as a framing wants them."""
    size = framing.resized((images.shape[2], images.shape[3]))
    if size != tuple(images.shape[2:]):
        images = interpolate(images, size, mode="bicubic" if framing.bicubic else "bilinear", antialias=True)
    top, left = ((have - want) / 2 for have, want in zip(size, framing.size, strict=True))
    if framing.mode == "contain":
        above, before = int(-top), int(-left)
        below, after = framing.size[0] - size[0] - above, framing.size[1] - size[1] - before
        return pad(images, (before, after, above, below), value=framing.fill)
    first, second = round(top), round(left)
    return images[:, :, first : first + framing.size[0], second : second + framing.size[1]].contiguous()
