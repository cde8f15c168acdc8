"""Two differently cropped, colored and blurred views of one frame."""

from jaxtyping import UInt8
from torch import Tensor

from mmssl.functional.random import ItemRandom
from mmssl.views.augmentation import Augmentation, random_frame


class SimCLRView:
    """Gives `view_1` and `view_2`, each `[batch, 3, size, size]`, of a random frame of each clip.

    Args:
        size: Side of a view in pixels.
        scale: Smallest and largest area of a crop, as a share of the frame's.
        jitter_strength: Of the changes of color: 1 changes brightness, contrast and saturation by up to 0.8 either way, and
            turns hue by up to 72 degrees; 1 for photographs, 0.5 for CIFAR.
        jitter_probability: Of a change of color.
        grey_probability: Of becoming grey.
        blur_probability: Of a blur, with a standard deviation of 0.1 to 2 pixels; 0 for CIFAR.
        flip_probability: Of a mirrored view.

    Source:
        Chen et al. 2020, arXiv:2002.05709, appendix A.
    """

    def __init__(
        self,
        *,
        size: int = 64,
        scale: tuple[float, float] = (0.08, 1.0),
        jitter_strength: float = 1.0,
        jitter_probability: float = 0.8,
        grey_probability: float = 0.2,
        blur_probability: float = 0.5,
        flip_probability: float = 0.5,
    ) -> None:
        self.augmentation = Augmentation(
            size=size,
            scale=scale,
            jitter_strength=jitter_strength,
            jitter_probability=jitter_probability,
            grey_probability=grey_probability,
            blur_probability=blur_probability,
            flip_probability=flip_probability,
        )

    def __call__(self, clips: UInt8[Tensor, "batch frames 3 height width"], random: ItemRandom) -> dict[str, Tensor]:
        """The two views."""
        frames = random_frame(clips, random)
        return {name: self.augmentation(frames, random, name) for name in ("view_1", "view_2")}
