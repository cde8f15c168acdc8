import numpy as np
import pytest
import torch
from torch import Tensor

from mmssl.propagation.box_prompts import VOTES, box_of_region, margins, object_in_box, with_margins


def scene(size: tuple[int, int] = (24, 30)) -> tuple[Tensor, Tensor, Tensor]:
    """Features in which a disk differs from the ground, the box around the disk, the disk."""
    generator = torch.Generator().manual_seed(0)
    rows, columns = torch.meshgrid(*(torch.arange(length) for length in size), indexing="ij")
    disk = (rows - 11) ** 2 + (columns - 14) ** 2 <= 36
    features = torch.where(disk, torch.tensor([1.0, 0.2, 0])[:, None, None], torch.tensor([0.0, 0.2, 1])[:, None, None])
    filled = torch.zeros(size)
    filled[5:18, 8:21] = 1
    return features + 0.05 * torch.randn(3, *size, generator=generator), filled, disk


def slowly(features: Tensor, filled: Tensor) -> Tensor:
    """Each cell of the box asks the most similar others, one after the other; the box is at rows 5-17, columns 8-20."""
    cells = torch.nn.functional.normalize(features, dim=0)
    voters = {}
    for y in range(features.shape[1]):
        for x in range(features.shape[2]):
            down, across = abs(y + 0.5 - 11.5) / 6.5, abs(x + 0.5 - 14.5) / 6.5
            if filled[y, x] > 0.5 and down**2 + across**2 < 0.5:
                voters[y, x] = 1.0
            elif filled[y, x] == 0 and max(down, across) <= 1.3 + 3 / 6.5:
                voters[y, x] = 0.0
    shares = torch.zeros_like(filled)
    for y, x in torch.nonzero(filled).tolist():
        ranked = sorted(
            ((float(cells[:, y, x] @ cells[:, i, j]), vote) for (i, j), vote in voters.items() if (i, j) != (y, x)),
            reverse=True,
        )
        shares[y, x] = sum(vote for _, vote in ranked[:VOTES]) / VOTES
    return shares / shares.max()


def test_matches_loops() -> None:
    features, filled, _ = scene()
    torch.testing.assert_close(object_in_box(features, filled), slowly(features, filled))


def test_finds_the_disk_in_its_box() -> None:
    features, filled, disk = scene()
    assert torch.equal(object_in_box(features, filled) >= 0.5, disk)


def test_mirrored_frame_mirrored_region() -> None:
    features, filled, _ = scene()
    mirrored = object_in_box(features.flip(2), filled.flip(1)).flip(1)
    torch.testing.assert_close(mirrored, object_in_box(features, filled))


@pytest.mark.parametrize("box", ["small", "whole frame", "speck"])
def test_takes_all_of_a_box_that_tells_nothing(box: str) -> None:
    torch.manual_seed(1)
    features, filled, _ = scene()
    if box == "small":
        filled = torch.zeros_like(filled)
        filled[5:8, 5:9] = 1
    elif box == "whole frame":
        filled = torch.ones_like(filled)
    else:
        ground = torch.tensor([0.0, 0.2, 1])[:, None, None] + 0.05 * torch.randn(3, 24, 30)
        features[:], features[:, 9:14, 12:17] = ground, features[:, 9:14, 12:17].clone()
    assert torch.equal(object_in_box(features, filled), filled)


def test_box_of_region_leaves_out_small_parts_and_reads_between_cells() -> None:
    soft = torch.zeros(10, 12)
    soft[2:6, 3:9] = 1
    soft[9, 11] = 1
    box = box_of_region(soft, (40, 48))
    assert box is not None
    np.testing.assert_allclose(box, [12, 8, 36, 24], atol=1)
    soft[2:6, 9] = 0.25
    assert (wider := box_of_region(soft, (40, 48))) is not None
    assert box[2] <= wider[2] <= box[2] + 2
    assert box_of_region(torch.zeros(3, 3), (9, 9)) is None


def test_margins_restore_the_box_and_grow_with_the_region() -> None:
    region, box = np.array([10.0, 20, 30, 60]), np.array([8.0, 18, 33, 60])
    apart = margins(region, box)
    np.testing.assert_allclose(with_margins(region, apart), box)
    np.testing.assert_allclose(with_margins(2 * region, apart), 2 * box)
