"""Sound as pictures: time from left to right, frequency upwards, the louder the brighter."""

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

RANGE_DB = 70.0
"""What is quieter than the loudest by more is black."""

HEIGHT = 96
MAX_WIDTH = 256


def as_pictures(
    frames: UInt8[Tensor, "frames 3 height width"] | Float32[Tensor, "frames 1 samples"],
) -> UInt8[Tensor, "frames 3 some_height some_width"]:
    """Pictures as they are, windows of sound as spectrograms."""
    return spectrograms(frames[:, 0]) if frames.is_floating_point() else frames


def spectrograms(sound: Float32[Tensor, "windows samples"]) -> UInt8[Tensor, "windows 3 96 width"]:
    """Magnitudes in decibels below the loudest of each window, from 0 Hz at the bottom to half the sample rate at the top."""
    import matplotlib as mpl

    size = 2 * HEIGHT
    hop = max(size // 4, -(-sound.shape[1] // MAX_WIDTH))
    window = torch.hann_window(size)
    magnitude = torch.stft(sound, size, hop, window=window, pad_mode="constant", return_complex=True).abs()[:, :HEIGHT]
    level = 20 * (magnitude / magnitude.amax((1, 2), keepdim=True).clamp_min(1e-9)).clamp_min(1e-9).log10()
    shade = (1 + level / RANGE_DB).clamp(0, 1).flip(1)
    colors = torch.from_numpy(mpl.colormaps["magma"](shade.numpy(), bytes=True)[..., :3].copy())
    return colors.permute(0, 3, 1, 2).contiguous()
