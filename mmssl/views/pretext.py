"""Views of tasks that ask about the image itself: one crop, and that crop in all four rotations."""

import torch
from jaxtyping import UInt8
from torch import Tensor

from mmssl.functional.random import ItemRandom
from mmssl.views.augmentation import Augmentation, random_frame


class CropView:
    """Gives `image`, `[batch, 3, size, size]`: a crop of a random frame of each clip, some of them mirrored.

    Args:
        size: Side of the image in pixels.
        scale: Smallest and largest area of the crop, as a share of the frame's.
        ratio: Smallest and largest width / height of the crop; `[1, 1]` with a scale of `[1, 1]` is the whole of a square frame.
        flip_probability: Of being mirrored.
        bicubic: Whether crops are resized with a bicubic filter, and not a bilinear one.
    """

    def __init__(
        self,
        *,
        size: int = 128,
        scale: tuple[float, float] = (0.3, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip_probability: float = 0.5,
        bicubic: bool = False,
    ) -> None:
        self.crop = Augmentation(
            size=size,
            scale=scale,
            ratio=ratio,
            jitter_probability=0.0,
            grey_probability=0.0,
            flip_probability=flip_probability,
            bicubic=bicubic,
        )

    def __call__(self, clips: UInt8[Tensor, "batch frames 3 height width"], random: ItemRandom) -> dict[str, Tensor]:
        """The image."""
        return {"image": self.crop(random_frame(clips, random), random, "crop")}


class RotationView:
    """Gives `rotated`, `[batch, 4, 3, size, size]`: a crop turned by 0, 90, 180 and 270 degrees against the clock.

    Args:
        size: Side of the image in pixels.
        scale: Smallest and largest area of the crop, as a share of the frame's.

    Source:
        Gidaris, Singh and Komodakis 2018, arXiv:1803.07728, section 2.
    """

    def __init__(self, *, size: int = 224, scale: tuple[float, float] = (0.3, 1.0)) -> None:
        self.crop = Augmentation(size=size, scale=scale, jitter_probability=0.0, grey_probability=0.0)

    def __call__(self, clips: UInt8[Tensor, "batch frames 3 height width"], random: ItemRandom) -> dict[str, Tensor]:
        """The four rotations."""
        image = self.crop(random_frame(clips, random), random, "crop")
        return {"rotated": torch.stack([torch.rot90(image, turns, (-2, -1)) for turns in range(4)], dim=1)}
