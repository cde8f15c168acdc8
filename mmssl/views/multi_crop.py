"""DINO's crops of one frame: two large ones and several small ones."""

from dataclasses import replace

import torch
from jaxtyping import UInt8
from torch import Tensor

from mmssl.functional.random import ItemRandom
from mmssl.views.augmentation import Augmentation, random_frame


class DINOView:
    """Gives `global`, `[batch, 2, 3, size, size]`, and `local`, `[batch, num_local, 3, local_size, local_size]`.

    Args:
        size: Side of a large crop in pixels.
        local_size: Side of a small one; 3/7 of the large one's where not given, 96 beside 224.
        num_local: Small crops of each frame; may be 0.
        scale: Smallest and largest area of a large crop, as a share of the frame's.
        local_scale: The same of a small crop.
        jitter_probability: Of a change of color.
        grey_probability: Of becoming grey.
        blur_probabilities: Of a blur of 0.1 to 2 pixels, for the first and the second large crop and the small ones.
        solarize_probability: Of an inversion of bright values, for the second large crop.

    Source:
        Caron et al. 2021, arXiv:2104.14294, section 3.2 and appendix C.
    """

    def __init__(
        self,
        *,
        size: int = 224,
        local_size: int | None = None,
        num_local: int = 8,
        scale: tuple[float, float] = (0.4, 1.0),
        local_scale: tuple[float, float] = (0.05, 0.4),
        jitter_probability: float = 0.8,
        grey_probability: float = 0.2,
        blur_probabilities: tuple[float, float, float] = (1.0, 0.1, 0.5),
        solarize_probability: float = 0.2,
    ) -> None:
        self.num_local = num_local
        self.local_size = round(size * 3 / 7) if local_size is None else local_size
        usual = Augmentation(
            size=size,
            scale=scale,
            jitter_extents=(0.4, 0.4, 0.2, 0.1),
            jitter_probability=jitter_probability,
            grey_probability=grey_probability,
            bicubic=True,
        )
        first, second, local = blur_probabilities
        self.large = (
            replace(usual, blur_probability=first),
            replace(usual, blur_probability=second, solarize_probability=solarize_probability),
        )
        self.small = replace(usual, size=self.local_size, scale=local_scale, blur_probability=local)

    def __call__(self, clips: UInt8[Tensor, "batch frames 3 height width"], random: ItemRandom) -> dict[str, Tensor]:
        """The crops."""
        frames = random_frame(clips, random)
        large = [crop(frames, random, f"global {number}") for number, crop in enumerate(self.large)]
        small = [self.small(frames, random, f"local {number}") for number in range(self.num_local)]
        none = torch.empty(len(frames), 0, 3, self.local_size, self.local_size)
        return {"global": torch.stack(large, dim=1), "local": torch.stack(small, dim=1) if small else none}
