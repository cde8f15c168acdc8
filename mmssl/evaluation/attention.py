"""Pictures of what a vision transformer attends to."""

import math

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from mmssl.errors import EvaluationError
from mmssl.evaluation.labeled import shuffled
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject
from mmssl.media.image import write_png
from mmssl.models.attention import class_attention, has_attention

SHOWN_SIDE = 160
GAP_PIXELS = 2


def attention(
    subject: Subject, *, split: str = "test", num_clips: int = 8, max_heads: int = 6, size: int | None = None
) -> list[ReportRow]:
    """Draws, for some images, how much the class token of the last block attends to each cell, by heads.

    Args:
        subject: A vision transformer, and clips, whose middle frames are looked at; its `out` gets the picture.
        split: Split to draw from; where the data has one split, that one.
        num_clips: Images to look at, chosen by the seed.
        max_heads: Heads to draw, from the first.
        size: Shorter side that images are enlarged or reduced to before; as they are where not given.

    Returns:
        The mean entropy of the attention over cells and heads, as a share of what even attention has.

    Raises:
        EvaluationError: If there are no clips of that split, or the encoder has no class token to look at.

    Source:
        Caron et al. 2021, arXiv:2104.14294, figure 1.
    """
    encoder = subject.encoder.encoder
    if not has_attention(encoder):
        raise EvaluationError(
            f"{subject.encoder.reference}: has no attention of a class token; take a vision transformer, such as "
            f"timm:vit_small_patch16_224.dino"
        )
    if subject.clips is None:
        raise EvaluationError(f"{subject.encoder.reference}: there are no clips to look at; give `clips`")
    items = subject.clips.items
    names = sorted({item.split or "none" for item in items})
    chosen = names[0] if len(names) == 1 else split
    places = [place for place, item in enumerate(items) if (item.split or "none") == chosen]
    if not places:
        raise EvaluationError(f"the split {chosen!r} has no clip; splits are {names}; set split")
    order = shuffled([items[place].id for place in places], seed=subject.seed, purpose="attention")[:num_clips]
    clips = subject.clips.clips([places[number] for number in order.tolist()])
    images = clips[:, clips.shape[1] // 2].float() / 255
    if size is not None:
        scale = size / min(images.shape[2:])
        target = [round(side * scale) for side in images.shape[2:]]
        images = interpolate(images, target, mode="bilinear", antialias=True).clamp(0, 1)
    encoder.to(subject.device).eval()
    with torch.inference_mode():
        maps = class_attention(encoder, images.to(subject.device)).float().cpu()
    if subject.out is not None:
        subject.out.mkdir(parents=True, exist_ok=True)
        write_png(subject.out / "attention.png", attention_grid(images, maps[:, :max_heads]))
    return [
        subject.row(
            "attention",
            "entropy of attention",
            relative_entropy(maps),
            split="all" if chosen == "none" else chosen,
            num_items=len(images),
            protocol=f"Entropy of the class token's attention over the {maps.shape[2] * maps.shape[3]} cells of the last "
            f"block, mean over {maps.shape[1]} heads and {len(images)} images, as a share of even attention's; a picture, "
            f"not a measure of quality. Drawn are, in a row, an image, the mean over heads and the first "
            f"{min(max_heads, maps.shape[1])} heads, brightest where attention is highest.",
            is_score=False,
        )
    ]


def relative_entropy(maps: Float[Tensor, "batch heads h w"]) -> float:
    """Mean entropy of attention maps over the entropy of an even one: 1 where even, 0 where on one cell."""
    share = maps.flatten(2)
    share = share / share.sum(2, keepdim=True)
    entropy = torch.special.entr(share).sum(2).mean()
    return float(entropy) / math.log(share.shape[2])


def attention_grid(
    images: Float[Tensor, "batch 3 height width"], maps: Float[Tensor, "batch heads h w"]
) -> UInt8[Tensor, "3 grid_height grid_width"]:
    """A row an image: the image, the mean over heads, then each head, brightest where it attends most."""
    import matplotlib as mpl

    height = SHOWN_SIDE
    width = max(1, round(height * images.shape[3] / images.shape[2]))
    shown = interpolate(images, (height, width), mode="bilinear", antialias=True).clamp(0, 1)
    heats = torch.cat([maps.mean(1, keepdim=True), maps], dim=1)
    heats = heats / heats.amax((2, 3), keepdim=True)
    heats = interpolate(heats, (height, width), mode="nearest")
    colors = torch.from_numpy(np.asarray(mpl.colormaps["magma"](heats.numpy()))[..., :3]).permute(0, 1, 4, 2, 3).float()
    tiles = torch.cat([shown[:, None], colors], dim=1)
    framed = torch.ones(*tiles.shape[:3], height + GAP_PIXELS, width + GAP_PIXELS)
    framed[..., :height, :width] = tiles
    rows = [torch.cat(list(row), dim=2) for row in framed]
    return (torch.cat(rows, dim=1) * 255).round().to(torch.uint8)
