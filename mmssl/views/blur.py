"""Gaussian blur with a width of its own for each image."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def gaussian_blur(
    images: Float[Tensor, "batch channels height width"], sigma: Float[Tensor, " batch"]
) -> Float[Tensor, "batch channels height width"]:
    """Blurs each image; beyond the edge the image is mirrored.

    Args:
        images: Any values.
        sigma: Standard deviation in pixels, > 0; the kernel is as wide as a tenth of the image, at least 3 pixels.
    """
    batch, channels, height, width = images.shape
    radius = max(1, min(height, width) // 20)
    offsets = torch.arange(-radius, radius + 1, device=images.device)
    kernel = torch.exp(-0.5 * (offsets / sigma.to(images.device)[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    rows = images.reshape(1, batch * channels, height, width)
    padded = functional.pad(rows, (radius, radius, radius, radius), mode="reflect")
    across = functional.conv2d(padded, kernel[:, None, None, :], groups=batch * channels)
    down = functional.conv2d(across, kernel[:, None, :, None], groups=batch * channels)
    return down.view(batch, channels, height, width)
