"""Grids of patches, and the network over their rows."""

from itertools import product

import pytest
import torch
from torch.testing import assert_close

from mmssl.config import build
from mmssl.errors import ConfigError
from mmssl.models import ENCODER_CHOICE
from mmssl.models.patch_grid import PatchGrid
from mmssl.models.row_context import RowContext

PATCH = {"name": "small_resnet", "width": 8, "stride": 4, "num_blocks": [1, 1], "feature_dim": 6, "norm": "group"}


def make(patch_size: int = 8, patch_step: int | None = None) -> PatchGrid:
    spec = {"name": "patch_grid", "patch": PATCH, "patch_size": patch_size, "patch_step": patch_step}
    encoder = build(spec, ENCODER_CHOICE)
    assert isinstance(encoder, PatchGrid)
    return encoder


@pytest.mark.parametrize("step", [3, 4, 8])
def test_an_embedding_is_the_mean_over_patches(step: int) -> None:
    encoder, image = make(patch_step=step), torch.rand(2, 3, 20, 27)
    corners = product(range(0, 20 - 8 + 1, step), range(0, 27 - 8 + 1, step))
    expected = [encoder.patch(image[:, :, top : top + 8, left : left + 8]) for top, left in corners]
    assert_close(encoder(image), torch.stack(expected).mean(0), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("step", [4, 8])
def test_a_cell_is_the_patch_around_it(step: int) -> None:
    encoder, image = make(patch_step=step), torch.rand(1, 3, 24, 32)
    features = encoder.features(image)
    assert features.shape == (1, 6, 24 // step, 32 // step)
    top, left = (cell * step + step // 2 - 4 for cell in (1, 2))
    alone = encoder.patch(image[:, :, top : top + 8, left : left + 8])
    assert_close(features[:, :, 1, 2], alone, atol=1e-5, rtol=1e-4)


def test_images_smaller_than_a_patch_are_filled_up() -> None:
    encoder, image = make(), torch.rand(1, 3, 5, 8)
    filled = torch.cat((image, image[:, :, -1:].expand(-1, -1, 3, -1)), dim=2)
    assert_close(encoder(image), encoder.patch(filled), atol=1e-5, rtol=1e-4)


def test_patches_do_not_know_of_each_other_with_group_norm() -> None:
    encoder = make().train()
    patches = torch.rand(6, 3, 8, 8)
    assert_close(encoder.patch(patches)[2:3], encoder.patch(patches[2:3]), atol=1e-5, rtol=1e-4)


def test_gaps_are_refused() -> None:
    with pytest.raises(ConfigError, match="1 <= patch_step <= patch_size"):
        make(8, 9)


def test_a_context_sees_its_row_and_those_above_alone() -> None:
    network = RowContext(4, 8, num_layers=3)
    codes = torch.randn(1, 4, 7, 7, requires_grad=True)
    network(codes)[0, :, 4, 3].sum().backward()
    assert codes.grad is not None
    seen = codes.grad[0].abs().sum(0) > 0
    assert not seen[5:].any()
    assert seen[4, 3]
    assert seen[:5].any(1).all()
