"""Views are drawn from the distributions of lightly's transforms: moments of crops, hue and blur."""

import colorsys
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

pytest.importorskip("lightly", reason="lightly is a development dependency")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from lightly.transforms import BYOLTransform, DINOTransform, MoCoV2Transform, SimCLRTransform
    from lightly.transforms.byol_transform import BYOLView1Transform, BYOLView2Transform

from mmssl.functional.random import ItemRandom
from mmssl.views.byol import BYOLView
from mmssl.views.moco import MoCoV2View
from mmssl.views.multi_crop import DINOView
from mmssl.views.simclr import SimCLRView
from mmssl.views.view import View

COUNT, SIDE, SIZE = 500, 64, 32
NO_COLOR = {"cj_prob": 0.0, "random_gray_scale": 0.0, "normalize": None}
NO_JITTER = {"jitter_probability": 0.0, "grey_probability": 0.0}


def ours(view: View, picture: Tensor) -> dict[str, Tensor]:
    clips = picture[None, None].expand(COUNT, 1, 3, SIDE, SIDE)
    return view(clips, ItemRandom(0, 0, range(COUNT)))


def theirs(transform: object, picture: Tensor, *, view: int) -> Tensor:
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    image = Image.fromarray(picture.permute(1, 2, 0).numpy())
    return torch.stack([transform.transforms[view](image) for _ in range(COUNT)])  # type: ignore[attr-defined]


def ramps() -> Tensor:
    """Red rises from left to right and green from top to bottom, so that a view tells its box; blue is even."""
    level = torch.arange(SIDE, dtype=torch.uint8) * 3 + 20
    return torch.stack(
        (level.expand(SIDE, SIDE), level[:, None].expand(SIDE, SIDE), torch.full((SIDE, SIDE), 128).byte())
    )


def crops(views: Tensor) -> Tensor:
    """Share of the area, logarithm of the ratio, and the middle of each view's box."""
    columns, rows = views[:, 0].mean(1), views[:, 1].mean(2)
    edge = slice(4, -4)
    width, height = ((line[:, edge].diff(dim=1).mean(1)).abs() * SIZE * 255 / 3 / SIDE for line in (columns, rows))
    middle = [(line.mean(1) * 255 - 20) / 3 / SIDE for line in (columns, rows)]
    return torch.stack((width * height, (width / height).log(), *middle), dim=1)


def assert_same_moments(a: Tensor, b: Tensor) -> None:
    """Means and deviations of columns agree within four standard errors."""
    for column, (x, y) in enumerate(zip(a.T, b.T, strict=True)):
        error = ((x.var() + y.var()) / COUNT).sqrt()
        assert (x.mean() - y.mean()).abs() < 4 * error + 5e-3, f"mean of column {column}: {x.mean()} and {y.mean()}"
        assert (x.std() - y.std()).abs() < 4 * error + 5e-3, f"deviation of column {column}: {x.std()} and {y.std()}"


def byol(**settings: object) -> object:
    return BYOLTransform(
        BYOLView1Transform(input_size=SIZE, **settings), BYOLView2Transform(input_size=SIZE, **settings)
    )


PAIRS = {
    "simclr": (
        SimCLRView(size=SIZE, blur_probability=0.0, **NO_JITTER),
        "view_1",
        SimCLRTransform(input_size=SIZE, gaussian_blur=0.0, **NO_COLOR),
        0,
    ),
    "moco_v2": (
        MoCoV2View(size=SIZE, blur_probability=0.0, **NO_JITTER),
        "view_2",
        MoCoV2Transform(input_size=SIZE, gaussian_blur=0.0, **NO_COLOR),
        1,
    ),
    "byol": (
        BYOLView(size=SIZE, blur_probabilities=(0.0, 0.0), solarize_probabilities=(0.0, 0.0), **NO_JITTER),
        "view_1",
        byol(gaussian_blur=0.0, solarization_prob=0.0, **NO_COLOR),
        0,
    ),
    "dino": (
        DINOView(size=SIZE, local_size=SIZE, num_local=1, blur_probabilities=(0.0, 0.0, 0.0), **NO_JITTER),
        "local",
        DINOTransform(global_crop_size=SIZE, local_crop_size=SIZE, gaussian_blur=(0.0, 0.0, 0.0), **NO_COLOR),
        2,
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_crops_have_the_same_moments(name: str) -> None:
    view, key, transform, number = PAIRS[name]
    found = ours(view, ramps())[key]
    assert_same_moments(
        crops(found if found.ndim == 4 else found[:, 0]), crops(theirs(transform, ramps(), view=number))
    )


def test_hue_turns_as_far_as_theirs() -> None:
    """Of a pale red, whose hue is found exactly; brightness, contrast and saturation stay as they are."""
    picture = torch.tensor([150, 110, 110], dtype=torch.uint8)[:, None, None].expand(3, SIDE, SIDE).contiguous()
    hue_alone = {"cj_bright": 0.0, "cj_contrast": 0.0, "cj_sat": 0.0, "random_gray_scale": 0.0, "normalize": None}
    transform = SimCLRTransform(input_size=SIZE, gaussian_blur=0.0, cj_prob=1.0, **hue_alone)
    view = SimCLRView(size=SIZE, blur_probability=0.0, jitter_probability=1.0, grey_probability=0.0)
    hues = []
    for views in (ours(view, picture)["view_1"], theirs(transform, picture, view=0)):
        turned = [colorsys.rgb_to_hsv(*color)[0] for color in views.mean((2, 3)).tolist()]
        hues.append(torch.tensor(turned).add(0.5).remainder(1).sub(0.5)[:, None])
    assert (hues[0].mean() - hues[1].mean()).abs() < 0.02
    assert (hues[0].std() - hues[1].std()).abs() < 0.02


def test_as_many_views_are_blurred_and_as_much() -> None:
    noise = torch.randint(0, 256, (3, SIDE, SIDE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    view = SimCLRView(size=SIZE, scale=(0.999, 1.0), **NO_JITTER)
    transform = SimCLRTransform(input_size=SIZE, min_scale=0.999, **NO_COLOR)
    roughness = [
        views.diff(dim=-1).abs().mean((1, 2, 3))[:, None]
        for views in (ours(view, noise)["view_1"], theirs(transform, noise, view=0))
    ]
    sharp = [values.max() for values in roughness]
    assert_same_moments(*(values / top for values, top in zip(roughness, sharp, strict=True)))
    blurred = [(values < 0.97 * top).float().mean() for values, top in zip(roughness, sharp, strict=True)]
    assert abs(blurred[0] - blurred[1]) < 0.1


def test_blur_is_gaussian_like_theirs() -> None:
    from mmssl.views.blur import gaussian_blur

    point = torch.zeros(1, 3, 41, 41)
    point[..., 20, 20] = 1
    for sigma in (0.5, 1.0, 2.0):
        spread = gaussian_blur(point, torch.tensor([sigma]))[0, 0].sum(0)
        variance = (spread * (torch.arange(41.0) - 20).square()).sum() / spread.sum()
        exact = functional.softmax(-0.5 * (torch.arange(-2.0, 3.0) / sigma).square(), dim=0)
        assert variance.item() == pytest.approx((exact * torch.arange(-2.0, 3.0).square()).sum().item(), rel=1e-3)
