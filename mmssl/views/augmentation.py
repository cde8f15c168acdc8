"""The chain that turns an image into a view: crop, flip, colors, blur, solarization. Methods differ in its numbers."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from mmssl.functional.random import ItemRandom
from mmssl.views.blur import gaussian_blur
from mmssl.views.color_jitter import jitter_colors
from mmssl.views.crop import cut, random_boxes


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What one view of an image is like.

    Args:
        size: Side of the view in pixels.
        scale: Smallest and largest area of the crop, as a share of the image's.
        ratio: Smallest and largest width / height of the crop.
        jitter_extents: See `jitter_colors`.
        jitter_strength: See `jitter_colors`.
        jitter_probability: Of a change of color.
        grey_probability: Of becoming grey.
        blur_probability: Of a blur.
        blur_sigma: Smallest and largest standard deviation of the blur in pixels.
        solarize_probability: Of an inversion of the values from 1/2 on.
        flip_probability: Of being mirrored.
        bicubic: Whether crops are resized with a bicubic filter, and not a bilinear one.
    """

    size: int
    scale: tuple[float, float]
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    jitter_extents: tuple[float, float, float, float] = (0.8, 0.8, 0.8, 0.2)
    jitter_strength: float = 1.0
    jitter_probability: float = 0.8
    grey_probability: float = 0.2
    blur_probability: float = 0.0
    blur_sigma: tuple[float, float] = (0.1, 2.0)
    solarize_probability: float = 0.0
    flip_probability: float = 0.5
    bicubic: bool = False

    def __call__(
        self, images: UInt8[Tensor, "batch 3 height width"], random: ItemRandom, name: str
    ) -> Float[Tensor, "batch 3 size size"]:
        """A view of each image, RGB in 0..1.

        Args:
            images: RGB.
            random: One item an image.
            name: Of the draws; another name gives another view.
        """
        height, width = images.shape[-2:]
        boxes = random_boxes(random, name, height=height, width=width, scale=self.scale, ratio=self.ratio)
        flip = random.uniform(f"{name}/flip") < self.flip_probability
        view = cut(images[:, None], boxes, size=self.size, flip=flip, bicubic=self.bicubic)[:, 0]
        if self.jitter_probability > 0 or self.grey_probability > 0:
            view = jitter_colors(
                view,
                random,
                name,
                strength=self.jitter_strength,
                extents=self.jitter_extents,
                probability=self.jitter_probability,
                grey_probability=self.grey_probability,
            )
        blurred = (random.uniform(f"{name}/blur") < self.blur_probability).nonzero()[:, 0]
        if len(blurred):
            sigma = random.uniform(f"{name}/sigma", low=self.blur_sigma[0], high=self.blur_sigma[1])
            view[blurred] = gaussian_blur(view[blurred], sigma[blurred])
        solarized = (random.uniform(f"{name}/solarize") < self.solarize_probability).nonzero()[:, 0]
        if len(solarized):
            chosen = view[solarized]
            view[solarized] = torch.where(chosen >= 0.5, 1 - chosen, chosen)
        return view


def random_frame(
    clips: UInt8[Tensor, "batch frames 3 height width"], random: ItemRandom
) -> UInt8[Tensor, "batch 3 height width"]:
    """One frame of each clip."""
    frame = random.integers("frame", high=clips.shape[1])
    return clips[torch.arange(len(clips)), frame]
