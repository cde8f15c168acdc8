"""What the report shows of colorization: copied colors beside the true ones, and where a cell looks."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from mmssl.functional.color import lab_to_rgb, rgb_to_lab
from mmssl.functional.copying import attention
from mmssl.functional.spotlight import spotlight


def colors_picture(
    frames: Float[Tensor, "batch 3 height width"],
    copied_ab: Float[Tensor, "batch 2 h w"],
    *,
    seen: Float[Tensor, "batch 3 height width"] | None = None,
) -> Float[Tensor, "3 all_height all_width"]:
    """A row a frame: what the encoder sees, its lightness with copied colors, and the frame itself.

    Args:
        frames: RGB in 0..1.
        copied_ab: Copied colors, a value a cell.
        seen: What the encoder sees; the frame's lightness where not given.
    """
    lightness = rgb_to_lab(frames)[:, :1]
    copied = functional.interpolate(copied_ab, size=frames.shape[-2:], mode="bilinear")
    left = lab_to_rgb(torch.cat((lightness, torch.zeros_like(copied)), dim=1)) if seen is None else seen
    columns = torch.cat((left, lab_to_rgb(torch.cat((lightness, copied), dim=1)), frames), dim=-1)
    return torch.cat(tuple(columns), dim=-2)


def attention_picture(
    frames: Float[Tensor, "batch frames 3 height width"],
    features: Float[Tensor, "batch frames dim h w"],
    *,
    temperature: float,
    radius: int | None,
) -> Float[Tensor, "3 all_height all_width"]:
    """A row a clip: the last frame with one cell marked, then the frames before, lit where that cell copies from.

    The cell is the one whose color changed most since the first frame: it, or what hid it, moved.
    """
    changed = (frames[:, -1] - frames[:, 0]).abs().sum(1, keepdim=True)
    places = functional.interpolate(changed, size=tuple(features.shape[-2:]), mode="area").flatten(1).argmax(1)
    cells = torch.stack((places // features.shape[-1], places % features.shape[-1]), dim=1)
    weights = attention(features[:, -1], features[:, :-1], cells=cells, temperature=temperature, radius=radius)
    asking = spotlight(frames[:, -1], _one_hot(cells, features.shape[-2:]))
    looked_at = [spotlight(frames[:, place], weights[:, place]) for place in range(weights.shape[1])]
    columns = torch.stack((asking, *looked_at), dim=1)
    return torch.cat([torch.cat(list(clip), dim=-1) for clip in columns], dim=-2)


def _one_hot(cells: Int[Tensor, "batch 2"], size: torch.Size) -> Float[Tensor, "batch h w"]:
    marked = torch.zeros(len(cells), *size, device=cells.device)
    marked[torch.arange(len(cells)), cells[:, 0], cells[:, 1]] = 1
    return marked
