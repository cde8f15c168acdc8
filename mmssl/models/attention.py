"""What the last block of a vision transformer attends to."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear

from mmssl.models.encoder import Encoder
from mmssl.models.open_clip_encoder import OpenClip
from mmssl.models.timm_encoder import TimmEncoder


@dataclass(frozen=True)
class _LastBlock:
    """The parts of a transformer's last block that its attention is made of.

    Args:
        watched: The layer whose output `mixed` takes.
        mixed: Gives queries, keys and values, end to end.
        num_heads: Of the attention.
        query_norm: Applied to queries.
        key_norm: Applied to keys.
        num_prefix: Tokens before those of the cells; the first is the class token.
        cells: Rows and columns of cells, whatever the image's size; None where there is one for each stride.
    """

    watched: nn.Module
    mixed: Callable[[Tensor], Tensor]
    num_heads: int
    query_norm: Callable[[Tensor], Tensor]
    key_norm: Callable[[Tensor], Tensor]
    num_prefix: int
    cells: tuple[int, int] | None = None


def has_attention(encoder: Encoder) -> bool:
    """Whether `class_attention` can look into an encoder: a vision transformer with a class token, of timm and open_clip too."""
    return _last_block(encoder) is not None


def class_attention(
    encoder: Encoder, images: Float[Tensor, "batch 3 height width"]
) -> Float[Tensor, "batch heads h w"]:
    """How much the class token of the last block attends to each cell of an image, for each head.

    Args:
        encoder: One for which `has_attention` is true.
        images: RGB in 0..1.

    Returns:
        Probabilities; over the cells of an image they sum to 1 less what goes to the tokens that are no cells.

    Raises:
        ValueError: If the encoder has no such attention.

    Source:
        Caron et al. 2021, arXiv:2104.14294, figure 1.
    """
    block = _last_block(encoder)
    if block is None:
        raise ValueError(f"{type(encoder).__name__} has no attention of a class token to look at")
    seen: list[Tensor] = []
    hook = block.watched.register_forward_hook(lambda _module, _given, out: seen.append(out))
    try:
        encoder(images)
    finally:
        hook.remove()
    batch, count, _ = seen[0].shape
    queries, keys, _ = block.mixed(seen[0]).reshape(batch, count, 3, block.num_heads, -1).permute(2, 0, 3, 1, 4)
    queries, keys = block.query_norm(queries), block.key_norm(keys)
    weights = (queries[:, :, :1] * queries.shape[3] ** -0.5 @ keys.transpose(2, 3)).softmax(3)
    cells: Tensor = weights[:, :, 0, block.num_prefix :]
    grid = block.cells or [-(-side // encoder.stride) for side in images.shape[-2:]]
    return cells.reshape(batch, block.num_heads, *grid)


def _last_block(encoder: Encoder) -> _LastBlock | None:
    if isinstance(encoder, OpenClip):
        return _last_of_open_clip(encoder.model.visual)
    return _last_of_blocks(encoder.model if isinstance(encoder, TimmEncoder) else encoder)


def _last_of_open_clip(visual: Any) -> _LastBlock | None:
    """Of an image tower, its own or one of timm, which looks at images of one size."""
    if hasattr(visual, "trunk"):
        found = _last_of_blocks(visual.trunk)
        return found and replace(found, cells=tuple(visual.trunk.patch_embed.grid_size))
    blocks: Any = getattr(getattr(visual, "transformer", None), "resblocks", ())
    attention = getattr(blocks[-1], "attn", None) if len(blocks) else None
    if not isinstance(attention, nn.MultiheadAttention):
        return None
    weight, bias = attention.in_proj_weight, attention.in_proj_bias
    return _LastBlock(
        blocks[-1].ln_1,
        lambda tokens: linear(tokens, weight, bias),
        attention.num_heads,
        nn.Identity(),
        nn.Identity(),
        1,
        tuple(visual.grid_size),
    )


def _last_of_blocks(model: Any) -> _LastBlock | None:
    """Of a transformer of this package or of timm; positions that turn queries and keys are not looked into."""
    blocks = getattr(model, "blocks", None)
    if not isinstance(blocks, nn.Sequential | nn.ModuleList) or not len(blocks):
        return None
    last: Any = blocks[-1]
    alike = nn.Identity()
    if hasattr(last, "query_key_value") and hasattr(model, "class_token"):
        return _LastBlock(last.query_key_value, alike, last.num_heads, alike, alike, 1)
    mixed = getattr(getattr(last, "attn", None), "qkv", None)
    if mixed is None or getattr(model, "cls_token", None) is None or getattr(model, "rope", None) is not None:
        return None
    attention = last.attn
    return _LastBlock(
        mixed, alike, attention.num_heads, attention.q_norm, attention.k_norm, int(model.num_prefix_tokens)
    )
