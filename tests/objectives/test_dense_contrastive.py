import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from mmssl.models.encoder import Encoder
from mmssl.objectives.dense_contrastive import DenseContrastive

WHOLE = torch.tensor([0.0, 0.0, 24.0, 24.0, 0.0])
MIRRORED = torch.tensor([0.0, 0.0, 24.0, 24.0, 1.0])


class MeanColors(Encoder):
    """A cell is its mean color."""

    def __init__(self) -> None:
        super().__init__()
        self.input, self.stride, self.dim, self.feature_dim = "rgb", 8, 3, 3

    def features(self, images: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(images, 8)


def batch(*, images: int = 2) -> dict[str, Tensor]:
    """Images of nine cells whose colors point in nine directions, no two images alike; the second crop is mirrored."""
    angles = torch.arange(9 * images) * (math.pi / (18 * images))
    colors = torch.stack((angles.cos(), angles.sin(), torch.full_like(angles, 0.4)), dim=1)
    pictures = colors.reshape(images, 3, 3, 3).permute(0, 3, 1, 2).repeat_interleave(8, -1).repeat_interleave(8, -2)
    frames = torch.stack((pictures, pictures.flip(-1)), dim=1)
    return {"frames": frames, "boxes": torch.stack((WHOLE, MIRRORED)).expand(images, -1, -1)}


@pytest.mark.parametrize("other_images", [True, False])
def test_content_is_found_where_the_crop_sends_it(other_images: bool) -> None:
    output = DenseContrastive(MeanColors(), temperature=1e-4, other_images=other_images)(batch())
    assert output["loss"] < 1e-3
    assert output["accuracy"] == 1
    assert output["accuracy_in_place"].item() == pytest.approx(1 / 3)


def test_cells_of_other_images_are_among_the_choices() -> None:
    twins = {key: torch.cat((value, value)) for key, value in batch(images=1).items()}
    alone = DenseContrastive(MeanColors(), temperature=1e-4, other_images=False)(twins)["loss"]
    together = DenseContrastive(MeanColors(), temperature=1e-4, other_images=True)(twins)["loss"]
    assert_close(together - alone, torch.tensor(math.log(2)), atol=1e-3, rtol=0)


def test_the_picture_shows_cell_choice_and_truth() -> None:
    (picture,) = DenseContrastive(MeanColors(), temperature=1e-4).pictures(batch()).values()
    assert picture.shape == (3, 48, 72)
    for frame in picture[:, :24].unflatten(2, (3, 24)).unbind(2):
        assert frame[0, 12, 12] > 0.75
        assert frame[0, 4, 4] < 0.5
