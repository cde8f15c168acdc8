import colorsys

import pytest
import torch
from torch.testing import assert_close

from mmssl.functional.random import ItemRandom
from mmssl.views.color_jitter import jitter_colors

GREY = torch.tensor([0.299, 0.587, 0.114])
IMAGES = 0.4 + 0.2 * torch.rand(6, 3, 5, 7, generator=torch.Generator().manual_seed(0))


def grey_of(image: torch.Tensor) -> torch.Tensor:
    return (image * GREY[:, None, None]).sum(0, keepdim=True)


def hue_turned(image: torch.Tensor, turn: float) -> torch.Tensor:
    cosine, sine = torch.cos(torch.tensor(turn)).item(), torch.sin(torch.tensor(turn)).item()
    to_yiq = torch.tensor([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
    turned = torch.linalg.inv(to_yiq) @ torch.tensor([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]]) @ to_yiq
    return torch.einsum("rc,chw->rhw", turned, image)


def test_matches_one_change_after_the_other() -> None:
    random = ItemRandom(0, 0, range(6))
    fast = jitter_colors(IMAGES, random, "x", strength=0.3, probability=1.0, grey_probability=0.3)
    factors = random.uniform("x/factors", (3,), low=1 - 0.24, high=1 + 0.24)
    turns = random.uniform("x/hue", low=-0.06, high=0.06) * 2 * torch.pi
    orders = random.permutations("x/order", 4)
    greys = random.uniform("x/grey") < 0.3
    assert 0 < greys.sum() < 6
    for item, original in enumerate(IMAGES):
        image = original
        brightness, contrast, saturation = factors[item].tolist()
        for change in orders[item].tolist():
            if change == 0:
                image = brightness * image
            elif change == 1:
                image = contrast * image + (1 - contrast) * grey_of(image).mean()
            elif change == 2:
                image = saturation * image + (1 - saturation) * grey_of(image)
            else:
                image = hue_turned(image, turns[item].item())
        if greys[item]:
            image = grey_of(image).expand(3, -1, -1)
        assert_close(fast[item], image.clamp(0, 1), atol=1e-5, rtol=0)


def test_nothing_changes_at_probability_or_strength_zero() -> None:
    random = ItemRandom(0, 0, range(6))
    assert_close(jitter_colors(IMAGES, random, "x", strength=1.0, probability=0.0, grey_probability=0.0), IMAGES)
    assert_close(jitter_colors(IMAGES, random, "x", strength=0.0, probability=1.0, grey_probability=0.0), IMAGES)


def test_grey_images_stay_grey() -> None:
    grey = torch.rand(6, 1, 4, 4).expand(-1, 3, -1, -1)
    changed = jitter_colors(grey, ItemRandom(0, 0, range(6)), "x", strength=1.0, probability=1.0)
    assert_close(changed, changed[:, :1].expand_as(changed), atol=1e-3, rtol=0)


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_hue_turns_as_far_as_asked(strength: float) -> None:
    red = torch.tensor([0.6, 0.4, 0.4])[None, :, None, None].expand(200, 3, 1, 1)
    changed = jitter_colors(
        red, ItemRandom(0, 0, range(200)), "x", strength=strength, probability=1.0, grey_probability=0.0
    )
    hues = [colorsys.rgb_to_hsv(*pixel)[0] for pixel in changed[:, :, 0, 0].tolist() if max(pixel) - min(pixel) > 0.01]
    turned = [min(hue, 1 - hue) for hue in hues]
    assert 0.15 * strength < max(turned) < 0.3 * strength
