import torch
from torch.testing import assert_close

from mmssl.functional.spotlight import spotlight


def test_light_lies_where_the_weights_are_and_nowhere_else() -> None:
    image = torch.tensor([0.2, 0.6, 0.4])[None, :, None, None].expand(1, 3, 4, 6)
    shown = spotlight(image, torch.tensor([[[0.0, 0.0, 2.0], [0.0, 1.0, 0.0]]]))[0]
    dark = torch.full((3,), 0.4 * 0.45)
    light = torch.tensor([1.0, 0.85, 0.1])
    assert_close(shown[:, 0, 0], dark)
    assert_close(shown[:, :2, 4:], (dark + 0.75 * (light - dark))[:, None, None].expand(3, 2, 2))
    assert_close(shown[:, 3, 2], dark + 0.375 * (light - dark))


def test_no_weight_is_no_light() -> None:
    image = torch.rand(2, 3, 4, 4)
    shown = spotlight(image, torch.zeros(2, 2, 2))
    assert_close(shown, (image.mean(1, keepdim=True) * 0.45).expand(2, 3, 4, 4))
