"""Colors: sRGB to CIE Lab and back (D65 white, 2 degree observer), and the nearest of a set of ab colors."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

_RGB_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
_WHITE = tuple(sum(row) for row in _RGB_TO_XYZ)
_KNEE = 6.0 / 29.0


def _mix_channels(image: Tensor, matrix: Tensor) -> Tensor:
    with torch.autocast(image.device.type, enabled=False):
        return torch.einsum("rc,...chw->...rhw", matrix, image)


def rgb_to_lab(rgb: Float[Tensor, "*batch 3 height width"]) -> Float[Tensor, "*batch 3 height width"]:
    """Converts sRGB in 0..1 to Lab: L in 0..100, a and b within about -110..110. The gradient is finite everywhere.

    Source:
        IEC 61966-2-1 (sRGB) and CIE 15:2004 (Lab).
    """
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4)
    to_xyz = rgb.new_tensor(_RGB_TO_XYZ) / rgb.new_tensor(_WHITE)[:, None]
    xyz = _mix_channels(linear, to_xyz)
    bent = torch.where(xyz > _KNEE**3, xyz.clamp_min(_KNEE**3) ** (1 / 3), xyz / (3 * _KNEE**2) + 4 / 29)
    x, y, z = bent.unbind(-3)
    return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), dim=-3)


def lab_to_rgb(lab: Float[Tensor, "*batch 3 height width"]) -> Float[Tensor, "*batch 3 height width"]:
    """Converts Lab to sRGB; colors that sRGB cannot show are clipped to 0..1.

    Source:
        IEC 61966-2-1 (sRGB) and CIE 15:2004 (Lab).
    """
    lightness, a, b = lab.unbind(-3)
    y = (lightness + 16) / 116
    bent = torch.stack((y + a / 500, y, y - b / 200), dim=-3)
    xyz = torch.where(bent > _KNEE, bent**3, 3 * _KNEE**2 * (bent - 4 / 29))
    to_xyz = lab.new_tensor(_RGB_TO_XYZ) / lab.new_tensor(_WHITE)[:, None]
    linear = _mix_channels(xyz, torch.linalg.inv(to_xyz)).clamp(0, 1)
    curved = 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, 12.92 * linear, curved).clamp(0, 1)


def hide_channels(
    lab: Float[Tensor, "*batch 3 height width"], visible: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch 3 height width"]:
    """Sets hidden channels of Lab to middle grey's values, 50, 0 and 0.

    Args:
        lab: Lab images.
        visible: 1 for each channel that stays, 0 for each that is hidden.
    """
    kept = visible[..., None, None]
    neutral = lab.new_tensor((50.0, 0.0, 0.0))[:, None, None]
    return lab * kept + neutral * (1 - kept)


def quantize_ab(
    ab: Float[Tensor, "*batch 2 height width"], centers: Float[Tensor, "clusters 2"]
) -> Int[Tensor, "*batch height width"]:
    """Number of the nearest center (Euclidean) of each ab color; the lowest number wins a tie."""
    colors = ab.movedim(-3, -1)
    offsets = colors.unsqueeze(-2) - centers
    return offsets.square().sum(-1).argmin(-1)
