"""Faster forward passes on processors that multiply bfloat16 natively."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

Precision = Literal["auto", "float32", "bfloat16"]
"""`auto` is `bfloat16` where the device multiplies it natively, else `float32`."""

Product = nn.Linear | nn.Conv2d | nn.MultiheadAttention


def settled_precision(precision: Precision, device: str) -> Precision:
    """The precision with `auto` decided for a device."""
    if precision != "auto":
        return precision
    if torch.device(device).type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bfloat16" if native else "float32"


@contextmanager
def products_in(precision: Precision, network: nn.Module, example: Float[Tensor, "batch ..."]) -> Iterator[None]:
    """Within it, a network's linear layers, convolutions and projections of attention multiply in a precision, for inference.

    All else stays in float32: sums over layers, normalizations, the attention itself. So the result of a transformer changes less
    than half as much as where all of it is in bfloat16. The network's own weights are not touched.

    Args:
        precision: `float32` changes nothing.
        network: In evaluation mode.
        example: An input; only layers that it passes through are changed, not those whose weights others use.
    """
    if precision == "float32":
        yield
        return
    passed = _passed_through(network, example)
    for layer in passed:
        layer.forward = _in_bfloat16(layer)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in passed:
            del layer.forward


def _passed_through(network: nn.Module, example: Tensor) -> list[Product]:
    """The layers of products that an input passes through, in their order."""
    passed: dict[Product, None] = {}
    layers = [
        layer
        for layer in network.modules()
        if type(layer) in (nn.Linear, nn.Conv2d)
        or (isinstance(layer, nn.MultiheadAttention) and layer.batch_first and _is_plain(layer))
    ]
    if not layers:
        return []
    hooks = [layer.register_forward_pre_hook(lambda layer, _: passed.setdefault(layer)) for layer in layers]
    try:
        with torch.inference_mode():
            network(example)
    finally:
        for hook in hooks:
            hook.remove()
    return list(passed)


def _is_plain(attention: nn.MultiheadAttention) -> bool:
    """Whether queries, keys and values are projected together, and nothing is added to them."""
    return attention.in_proj_weight is not None and attention.bias_k is None and not attention.add_zero_attn


def _in_bfloat16(layer: Product) -> Callable[..., Any]:
    """A forward pass in place of a layer's own."""
    if isinstance(layer, nn.MultiheadAttention):
        project = _product(linear, layer.in_proj_weight, layer.in_proj_bias)
        return partial(_attend, layer, project, _product(linear, layer.out_proj.weight, layer.out_proj.bias))
    return _product(layer._conv_forward if isinstance(layer, nn.Conv2d) else linear, layer.weight, layer.bias)


def _product(
    multiply: Callable[[Tensor, Tensor, Tensor | None], Tensor], weight: Tensor, bias: Tensor | None
) -> Callable[[Tensor], Tensor]:
    """A product with fixed weights, rounded to bfloat16 once, whose result has the type of the input."""
    rounded = [None if values is None else values.detach().to(torch.bfloat16) for values in (weight, bias)]
    return lambda inputs: multiply(inputs.to(torch.bfloat16), *rounded).to(inputs.dtype)  # type: ignore[arg-type]


def _attend(
    attention: nn.MultiheadAttention,
    project: Callable[[Tensor], Tensor],
    join: Callable[[Tensor], Tensor],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    **options: Any,
) -> Any:
    """Self-attention without a mask; anything else goes to the layer's own forward pass."""
    options = {name: given for name, given in options.items() if given is not None}
    if query is not key or key is not value or query.ndim != 3 or options != {"need_weights": False}:
        return type(attention).forward(attention, query, key, value, **options)
    batch, length, dim = query.shape
    parts = (
        project(query).view(batch, length, 3, attention.num_heads, dim // attention.num_heads).permute(2, 0, 3, 1, 4)
    )
    return join(scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)), None
