"""What the last block of a vision transformer attends to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from mmssl.models.encoder import Encoder
from mmssl.models.timm_encoder import TimmEncoder


@dataclass(frozen=True)
class _LastBlock:
    """The parts of a transformer's last block that its attention is made of.

    Args:
        mixed: The layer that gives queries, keys and values, end to end.
        num_heads: Of the attention.
        query_norm: Applied to queries.
        key_norm: Applied to keys.
        num_prefix: Tokens before those of the cells; the first is the class token.
    """

    mixed: nn.Module
    num_heads: int
    query_norm: Callable[[Tensor], Tensor]
    key_norm: Callable[[Tensor], Tensor]
    num_prefix: int


def has_attention(encoder: Encoder) -> bool:
    """Whether `class_attention` can look into an encoder: a vision transformer with a class token, own or of timm."""
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
    hook = block.mixed.register_forward_hook(lambda _module, _given, out: seen.append(out))
    try:
        encoder(images)
    finally:
        hook.remove()
    batch, count, _ = seen[0].shape
    queries, keys, _ = seen[0].reshape(batch, count, 3, block.num_heads, -1).permute(2, 0, 3, 1, 4)
    queries, keys = block.query_norm(queries), block.key_norm(keys)
    weights = (queries[:, :, :1] * queries.shape[3] ** -0.5 @ keys.transpose(2, 3)).softmax(3)
    cells: Tensor = weights[:, :, 0, block.num_prefix :]
    height, width = (-(-side // encoder.stride) for side in images.shape[-2:])
    return cells.reshape(batch, block.num_heads, height, width)


def _last_block(encoder: Encoder) -> _LastBlock | None:
    model: Any = encoder.model if isinstance(encoder, TimmEncoder) else encoder
    blocks = getattr(model, "blocks", None)
    if not isinstance(blocks, nn.Sequential | nn.ModuleList) or not len(blocks):
        return None
    last: Any = blocks[-1]
    if hasattr(last, "query_key_value") and hasattr(model, "class_token"):
        return _LastBlock(last.query_key_value, last.num_heads, nn.Identity(), nn.Identity(), 1)
    attention = getattr(last, "attn", None)
    if attention is None or getattr(model, "cls_token", None) is None or not hasattr(attention, "qkv"):
        return None
    return _LastBlock(
        attention.qkv, attention.num_heads, attention.q_norm, attention.k_norm, int(model.num_prefix_tokens)
    )
