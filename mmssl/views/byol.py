"""BYOL's two views of one frame, which are drawn differently."""

from jaxtyping import UInt8
from torch import Tensor

from mmssl.functional.random import ItemRandom
from mmssl.views.augmentation import Augmentation, random_frame


class BYOLView:
    """Gives `view_1` and `view_2`, each `[batch, 3, size, size]`, of a random frame of each clip.

    Args:
        size: Side of a view in pixels.
        scale: Smallest and largest area of a crop, as a share of the frame's.
        jitter_probability: Of a change of color.
        grey_probability: Of becoming grey.
        blur_probabilities: Of a blur of 0.1 to 2 pixels, for the first and the second view; 0 for CIFAR.
        solarize_probabilities: Of an inversion of bright values, for the first and the second view.

    Source:
        Grill et al. 2020, arXiv:2006.07733, appendix B.
    """

    def __init__(
        self,
        *,
        size: int = 224,
        scale: tuple[float, float] = (0.08, 1.0),
        jitter_probability: float = 0.8,
        grey_probability: float = 0.2,
        blur_probabilities: tuple[float, float] = (1.0, 0.1),
        solarize_probabilities: tuple[float, float] = (0.0, 0.2),
    ) -> None:
        pairs = zip(("view_1", "view_2"), blur_probabilities, solarize_probabilities, strict=True)
        self.augmentations = {
            name: Augmentation(
                size=size,
                scale=scale,
                jitter_extents=(0.4, 0.4, 0.2, 0.1),
                jitter_probability=jitter_probability,
                grey_probability=grey_probability,
                blur_probability=blur,
                solarize_probability=solarize,
            )
            for name, blur, solarize in pairs
        }

    def __call__(self, clips: UInt8[Tensor, "batch frames 3 height width"], random: ItemRandom) -> dict[str, Tensor]:
        """The two views."""
        frames = random_frame(clips, random)
        return {name: augmentation(frames, random, name) for name, augmentation in self.augmentations.items()}
