"""Products in bfloat16 stay near those in float32, and leave the network as it was."""

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from mmssl.models.open_clip_encoder import OpenClip
from mmssl.models.precision import products_in, settled_precision

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 3, "width": 64, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
TINY_RESNET = {**TINY, "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16}}


@pytest.mark.parametrize("config", [TINY, TINY_RESNET])
def test_an_embedding_hardly_moves(config: dict) -> None:
    torch.manual_seed(0)
    encoder = OpenClip(config=config).eval()
    images = torch.rand(4, 3, *encoder.framing.size)
    names = list(encoder.state_dict())
    with torch.inference_mode():
        exact = encoder(images)
        with products_in("bfloat16", encoder, images[:1]):
            near = encoder(images)
        after = encoder(images)
    moved = (normalize(near, dim=1) - normalize(exact, dim=1)).norm(dim=1)
    assert 0 < moved.max() < 1e-2
    assert near.dtype == torch.float32
    assert torch.equal(after, exact)
    assert list(encoder.state_dict()) == names


def test_each_product_is_that_of_rounded_numbers() -> None:
    layer = nn.Linear(5, 3)
    inputs = torch.randn(4, 5)
    with torch.no_grad(), products_in("bfloat16", nn.Sequential(layer), inputs):
        found = layer(inputs)
    rounded = [value.bfloat16().float() for value in (inputs, layer.weight.detach(), layer.bias.detach())]
    torch.testing.assert_close(found, rounded[0] @ rounded[1].T + rounded[2], rtol=2**-8, atol=1e-2)


def test_float32_and_networks_without_products_are_left_alone() -> None:
    layer = nn.Linear(2, 2)
    with products_in("float32", layer, torch.zeros(1, 2)):
        assert "forward" not in vars(layer)
    with products_in("bfloat16", nn.ReLU(), torch.zeros(1, 2)):
        pass
    assert settled_precision("float32", "cpu") == "float32"
    assert settled_precision("auto", "cpu") in ("float32", "bfloat16")
