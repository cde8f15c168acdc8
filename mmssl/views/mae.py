"""One crop of a frame, and which of its patches are hidden."""

import torch
from jaxtyping import UInt8
from torch import Tensor

from mmssl.errors import ConfigError
from mmssl.functional.random import ItemRandom
from mmssl.views.augmentation import Augmentation, random_frame


class MAEView:
    """Gives `image`, `[batch, 3, size, size]`, and `mask`, `[batch, h, w]`, which is true where a patch is hidden.

    Args:
        size: Side of the image in pixels.
        patch: Side of a patch in pixels: that of the encoder.
        mask_ratio: Share of the patches that is hidden, rounded up; as many in each image.
        scale: Smallest and largest area of the crop, as a share of the frame's.

    Raises:
        ConfigError: If size is not a multiple of patch, or no patch would be visible, or none hidden.

    Source:
        He et al. 2021, arXiv:2111.06377, section 3 and appendix A.
    """

    def __init__(
        self, *, size: int = 224, patch: int = 16, mask_ratio: float = 0.75, scale: tuple[float, float] = (0.2, 1.0)
    ) -> None:
        if size % patch:
            raise ConfigError(f"size {size} is not a multiple of patch {patch}")
        self.cells = size // patch
        self.num_visible = int(self.cells**2 * (1 - mask_ratio))
        if not 0 < self.num_visible < self.cells**2:
            raise ConfigError(
                f"a mask_ratio of {mask_ratio} leaves {self.num_visible} of {self.cells**2} patches visible; "
                "there must be at least one, and one hidden"
            )
        self.crop = Augmentation(size=size, scale=scale, jitter_probability=0.0, grey_probability=0.0, bicubic=True)

    def __call__(self, clips: UInt8[Tensor, "batch frames 3 height width"], random: ItemRandom) -> dict[str, Tensor]:
        """The image and its mask."""
        order = random.permutations("mask", self.cells**2)
        hidden = torch.ones(len(clips), self.cells**2, dtype=torch.bool)
        hidden.scatter_(1, order[:, : self.num_visible], False)
        return {
            "image": self.crop(random_frame(clips, random), random, "crop"),
            "mask": hidden.reshape(-1, self.cells, self.cells),
        }
