"""One crop of a frame, clean and corrupted."""

import torch
from jaxtyping import UInt8
from torch import Tensor

from mmssl.functional.random import ItemRandom
from mmssl.views.augmentation import Augmentation, random_frame


class CorruptedView:
    """Gives `image` and `corrupted`, each `[batch, 3, size, size]`, of a random frame of each clip.

    Args:
        size: Side of the image in pixels.
        scale: Smallest and largest area of the crop, as a share of the frame's.
        masked_share: Of the pixels, which become black.
        noise_std: Standard deviation of Gaussian noise on all values, which are clipped to 0..1.

    Source:
        Vincent et al. 2010, "Stacked denoising autoencoders", JMLR 11, section 3.3.
    """

    def __init__(
        self,
        *,
        size: int = 64,
        scale: tuple[float, float] = (0.2, 1.0),
        masked_share: float = 0.25,
        noise_std: float = 0.1,
    ) -> None:
        self.size = size
        self.masked_share = masked_share
        self.noise_std = noise_std
        self.crop = Augmentation(size=size, scale=scale, jitter_probability=0.0, grey_probability=0.0)

    def __call__(self, clips: UInt8[Tensor, "batch frames 3 height width"], random: ItemRandom) -> dict[str, Tensor]:
        """The two images."""
        image = self.crop(random_frame(clips, random), random, "crop")
        corrupted = image
        if self.noise_std > 0:
            corrupted = corrupted + self.noise_std * random.normal("noise", (3, self.size, self.size))
        if self.masked_share > 0:
            masked = random.uniform("masked", (1, self.size, self.size)) < self.masked_share
            corrupted = torch.where(masked, 0.0, corrupted)
        return {"image": image, "corrupted": corrupted.clamp(0, 1)}
