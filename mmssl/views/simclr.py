"""Two differently cropped, colored and blurred views of one frame."""

import torch
from jaxtyping import UInt8
from torch import Tensor

from mmssl.functional.random import ItemRandom
from mmssl.views.blur import gaussian_blur
from mmssl.views.color_jitter import jitter_colors
from mmssl.views.crop import cut, random_boxes


class SimCLRView:
    """Gives `view_1` and `view_2`, each `[batch, 3, size, size]`, of a random frame of each clip.

    Args:
        size: Side of a view in pixels.
        scale: Smallest and largest area of a crop, as a share of the frame's.
        jitter_strength: See `jitter_colors`; 1 for photographs, 0.5 for CIFAR.
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
        self.size = size
        self.scale = scale
        self.jitter_strength = jitter_strength
        self.jitter_probability = jitter_probability
        self.grey_probability = grey_probability
        self.blur_probability = blur_probability
        self.flip_probability = flip_probability

    def __call__(self, clips: UInt8[Tensor, "batch frames 3 height width"], random: ItemRandom) -> dict[str, Tensor]:
        """The two views."""
        frame = random.integers("frame", high=clips.shape[1])
        frames = clips[torch.arange(len(clips)), frame]
        return {name: self._view(frames, random, name) for name in ("view_1", "view_2")}

    def _view(self, frames: Tensor, random: ItemRandom, name: str) -> Tensor:
        height, width = frames.shape[-2:]
        boxes = random_boxes(random, name, height=height, width=width, scale=self.scale)
        flip = random.uniform(f"{name}/flip") < self.flip_probability
        images = cut(frames[:, None], boxes, size=self.size, flip=flip)[:, 0]
        images = jitter_colors(
            images,
            random,
            name,
            strength=self.jitter_strength,
            probability=self.jitter_probability,
            grey_probability=self.grey_probability,
        )
        blurred = (random.uniform(f"{name}/blur") < self.blur_probability).nonzero()[:, 0]
        sigma = random.uniform(f"{name}/sigma", low=0.1, high=2.0)
        if len(blurred):
            images[blurred] = gaussian_blur(images[blurred], sigma[blurred])
        return images
