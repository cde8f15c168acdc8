import pytest
import torch
from PIL import Image
from torch.testing import assert_close
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, PILToTensor, Resize

from mmssl.functional.framing import Framing, framed


def smooth(height: int, width: int) -> torch.Tensor:
    coarse = torch.randint(0, 256, (1, 3, 9, 9), generator=torch.Generator().manual_seed(3)).float()
    picture = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 255)
    return picture.to(torch.uint8)


@pytest.mark.parametrize("size", [(60, 90), (91, 47), (32, 32), (20, 30), (33, 32)])
def test_cover_is_what_clip_models_are_shown(size: tuple[int, int]) -> None:
    """Beside the transform of torchvision on a PIL image, within two levels of 255."""
    image = smooth(*size)
    pil = Image.fromarray(image[0].permute(1, 2, 0).numpy())
    transform = Compose([Resize(32, InterpolationMode.BICUBIC), CenterCrop(32), PILToTensor()])
    found = framed(image, Framing((32, 32)))[0]
    assert_close(found.float(), transform(pil).float(), atol=2.0, rtol=0)


def test_contain_fills_and_squash_stretches() -> None:
    image = torch.full((1, 3, 10, 20), 200, dtype=torch.uint8)
    contained = framed(image, Framing((20, 20), mode="contain", fill=7))
    assert contained.shape == (1, 3, 20, 20)
    assert contained[0, 0, :, 0].tolist() == [7] * 5 + [200] * 10 + [7] * 5
    assert framed(image, Framing((20, 20), mode="squash")).unique().tolist() == [200]


def test_one_pixel() -> None:
    image = torch.full((1, 3, 1, 1), 9, dtype=torch.uint8)
    for mode in ("cover", "contain", "squash"):
        assert framed(image, Framing((16, 16), mode=mode)).unique().tolist() == [9]
