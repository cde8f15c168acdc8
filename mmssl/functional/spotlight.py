"""Where attention lies, drawn over an image."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

_BACKGROUND = 0.45
_LIGHT = (1.0, 0.85, 0.1)
_FULL = 0.75


def spotlight(
    images: Float[Tensor, "batch 3 height width"], weights: Float[Tensor, "batch h w"]
) -> Float[Tensor, "batch 3 height width"]:
    """Grey, darkened images with a yellow light where weights are large; the image shows through it.

    Args:
        images: RGB in 0..1.
        weights: At least 0; the largest of each image is the brightest light, each a rectangle of the image.

    Returns:
        RGB in 0..1.
    """
    height, width = images.shape[-2:]
    strength = _FULL * weights / weights.amax((1, 2), keepdim=True).clamp_min(1e-12)
    strength = functional.interpolate(strength[:, None], size=(height, width), mode="nearest")
    grey = images.mean(1, keepdim=True) * _BACKGROUND
    light = torch.tensor(_LIGHT, device=images.device)[:, None, None]
    return grey + (light - grey) * strength
