import torch
from torch.testing import assert_close
from torchvision.transforms.v2.functional import gaussian_blur as one_blur

from mmssl.views.blur import gaussian_blur


def test_matches_one_image_at_a_time() -> None:
    images, sigma = torch.rand(4, 3, 60, 70), torch.tensor([0.1, 0.7, 1.3, 2.0])
    batch = gaussian_blur(images, sigma)
    for image, width, blurred in zip(images, sigma.tolist(), batch, strict=True):
        assert_close(blurred, one_blur(image, [7, 7], [width, width]), atol=1e-5, rtol=0)


def test_keeps_constant_images_and_small_ones() -> None:
    assert_close(gaussian_blur(torch.full((2, 3, 9, 5), 0.3), torch.ones(2)), torch.full((2, 3, 9, 5), 0.3))
