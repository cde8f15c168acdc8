import pytest
import torch
from torch.testing import assert_close

from mmssl.functional.color import hide_channels, lab_to_rgb, quantize_ab, rgb_to_lab


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((0, 0, 0), (0, 0, 0)),
        ((255, 255, 255), (100, 0, 0)),
        ((255, 0, 0), (53.2408, 80.0925, 67.2032)),
        ((0, 255, 0), (87.7347, -86.1827, 83.1793)),
        ((0, 0, 255), (32.2970, 79.1875, -107.8602)),
        ((119, 119, 119), (50.0344, 0, 0)),
        ((3, 3, 3), (0.8226, 0, 0)),
    ],
)
def test_known_colors(rgb: tuple[int, ...], lab: tuple[float, ...]) -> None:
    pixel = torch.tensor(rgb).float()[:, None, None] / 255
    assert_close(rgb_to_lab(pixel)[:, 0, 0], torch.tensor(lab, dtype=torch.float32), atol=1e-2, rtol=0)


def test_there_and_back() -> None:
    rgb = torch.rand(2, 5, 3, 8, 9)
    assert_close(lab_to_rgb(rgb_to_lab(rgb)), rgb, atol=1e-4, rtol=0)
    levels = torch.arange(256).float()[None, :, None].expand(3, -1, -1) / 255
    assert_close(lab_to_rgb(rgb_to_lab(levels)) * 255, levels * 255, atol=0.02, rtol=0)


def test_colors_out_of_gamut_are_clipped() -> None:
    lab = torch.tensor([50.0, 200.0, -200.0])[:, None, None]
    rgb = lab_to_rgb(lab)
    assert rgb.min() >= 0
    assert rgb.max() <= 1


def test_gradient_is_right_and_finite_at_black() -> None:
    rgb = torch.rand(3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(rgb_to_lab, (rgb,))
    black = torch.zeros(3, 1, 1, requires_grad=True)
    rgb_to_lab(black).sum().backward()
    assert black.grad is not None
    assert torch.isfinite(black.grad).all()
    lab = torch.zeros(3, 1, 1, requires_grad=True)
    lab_to_rgb(lab).sum().backward()
    assert lab.grad is not None
    assert torch.isfinite(lab.grad).all()


def test_quantize_ab_finds_the_nearest_center() -> None:
    ab, centers = torch.randn(2, 3, 2, 4, 5) * 30, torch.randn(7, 2) * 30
    found = quantize_ab(ab, centers)
    for index in torch.cartesian_prod(*map(torch.arange, (2, 3, 4, 5))).tolist():
        item, frame, y, x = index
        distances = [(ab[item, frame, :, y, x] - center).norm().item() for center in centers]
        assert found[item, frame, y, x].item() == min(range(7), key=distances.__getitem__)


def test_hidden_channels_are_those_of_middle_grey() -> None:
    lab = rgb_to_lab(torch.rand(2, 3, 4, 5))
    hidden = hide_channels(lab, torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]]))
    assert_close(hidden[0, [0, 2]], lab[0, [0, 2]])
    assert_close(hidden[1, 1:], lab[1, 1:])
    assert bool((hidden[0, 1] == 0).all() and (hidden[1, 0] == 50).all())
    assert_close(hide_channels(lab, torch.ones(2, 3)), lab)
