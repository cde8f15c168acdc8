"""The views of MoCo: two of one frame, drawn alike."""

from jaxtyping import UInt8
from torch import Tensor

from mmssl.functional.random import ItemRandom
from mmssl.views.augmentation import Augmentation, random_frame


class MoCoV1View:
    """Gives `view_1` and `view_2`, each `[batch, 3, size, size]`, of a random frame of each clip; none is blurred.

    Args:
        size: Side of a view in pixels.
        scale: Smallest and largest area of a crop, as a share of the frame's.
        jitter_probability: Of a change of color.
        grey_probability: Of becoming grey.

    Source:
        He et al. 2020, arXiv:1911.05722, section 3.3.
    """

    def __init__(
        self,
        *,
        size: int = 224,
        scale: tuple[float, float] = (0.2, 1.0),
        jitter_probability: float = 1.0,
        grey_probability: float = 0.2,
    ) -> None:
        self.augmentation = Augmentation(
            size=size,
            scale=scale,
            jitter_extents=(0.4, 0.4, 0.4, 0.4),
            jitter_probability=jitter_probability,
            grey_probability=grey_probability,
        )

    def __call__(self, clips: UInt8[Tensor, "batch frames 3 height width"], random: ItemRandom) -> dict[str, Tensor]:
        """The two views."""
        frames = random_frame(clips, random)
        return {name: self.augmentation(frames, random, name) for name in ("view_1", "view_2")}


class MoCoV2View:
    """Gives `view_1` and `view_2`, each `[batch, 3, size, size]`, of a random frame of each clip.

    Args:
        size: Side of a view in pixels.
        scale: Smallest and largest area of a crop, as a share of the frame's.
        jitter_probability: Of a change of color.
        grey_probability: Of becoming grey.
        blur_probability: Of a blur, with a standard deviation of 0.1 to 2 pixels; 0 for CIFAR.

    Source:
        Chen et al. 2020, arXiv:2003.04297, section 3.
    """

    def __init__(
        self,
        *,
        size: int = 224,
        scale: tuple[float, float] = (0.2, 1.0),
        jitter_probability: float = 0.8,
        grey_probability: float = 0.2,
        blur_probability: float = 0.5,
    ) -> None:
        self.augmentation = Augmentation(
            size=size,
            scale=scale,
            jitter_extents=(0.4, 0.4, 0.4, 0.1),
            jitter_probability=jitter_probability,
            grey_probability=grey_probability,
            blur_probability=blur_probability,
        )

    def __call__(self, clips: UInt8[Tensor, "batch frames 3 height width"], random: ItemRandom) -> dict[str, Tensor]:
        """The two views."""
        frames = random_frame(clips, random)
        return {name: self.augmentation(frames, random, name) for name in ("view_1", "view_2")}
