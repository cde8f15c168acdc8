from pathlib import Path

import pytest
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from mmssl.media.image import write_index_png, write_png
from mmssl.models.encoder import Encoder
from mmssl.propagation.presets import DINO, Preset


class ColorPatches(Encoder):
    """Colors of 4 x 4 pixels as the features of a cell: enough to follow textured shapes."""

    dim = feature_dim = 48
    stride = 4

    def features(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch dim h w"]:
        return F.pixel_unshuffle(images - 0.5, 4)


@pytest.fixture
def encoder() -> Encoder:
    return ColorPatches()


@pytest.fixture
def small_preset() -> Preset:
    """The protocol of `dino` on frames small enough for a test."""
    return Preset(**{**vars(DINO), "name": "small", "short_side": 48, "size_multiple": 16})


def write_moving_squares(folder: Path, *, num_frames: int = 11, size: tuple[int, int] = (48, 80)) -> list[Tensor]:
    """Writes a folder of frames in which two textured squares move over a textured ground; returns the true masks."""
    generator = torch.Generator().manual_seed(5)
    ground = torch.randint(0, 90, (3, *size), generator=generator).to(torch.uint8)
    shapes = [torch.randint(low, 256, (3, 16, 16), generator=generator).to(torch.uint8) for low in (150, 110)]
    folder.mkdir(parents=True)
    masks = []
    for frame in range(num_frames):
        picture, mask = ground.clone(), torch.zeros(size, dtype=torch.uint8)
        for index, (y, x) in enumerate([(4, 4 + 4 * frame), (28, (60 - 4 * frame) % (size[1] - 16))]):
            picture[:, y : y + 16, x : x + 16] = shapes[index]
            mask[y : y + 16, x : x + 16] = index + 1
        write_png(folder / f"{frame:05}.png", picture)
        masks.append(mask)
    return masks


@pytest.fixture
def squares(tmp_path: Path) -> tuple[Path, Path, list[Tensor]]:
    """Folder of frames, mask file of the first frame, true masks."""
    masks = write_moving_squares(tmp_path / "frames")
    write_index_png(tmp_path / "first.png", masks[0])
    return tmp_path / "frames", tmp_path / "first.png", masks
