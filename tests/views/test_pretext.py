"""Views of pretext tasks: their questions have the right answers."""

import pytest
import torch
from torch.testing import assert_close

from mmssl.errors import ConfigError
from mmssl.functional.random import ItemRandom
from mmssl.views.pretext import CropView, RotationView
from mmssl.views.tiles import JigsawView, RelativePatchView

MANY = 120


def ramps(items: int = MANY) -> torch.Tensor:
    """Red rises from left to right, green from top to bottom; blue is even."""
    ramp = torch.arange(90, dtype=torch.uint8) * 2 + 20
    rows, columns = ramp[:, None].expand(90, 90), ramp[None, :].expand(90, 90)
    return torch.stack((columns, rows, torch.full_like(rows, 100)))[None, None].repeat(items, 1, 1, 1, 1)


def test_rotations_are_quarter_turns_of_one_crop() -> None:
    rotated = RotationView(size=20)(ramps(3), ItemRandom(0, 0, range(3)))["rotated"]
    for turns in range(4):
        assert torch.equal(rotated[:, turns], torch.rot90(rotated[:, 0], turns, (-2, -1)))
    assert torch.equal(
        rotated[:, 0], CropView(size=20, scale=(0.3, 1.0))(ramps(3), ItemRandom(0, 0, range(3)))["image"]
    )


@pytest.mark.parametrize("colors", ["keep", "project"])
def test_a_neighbour_lies_where_the_answer_says(colors: str) -> None:
    view = RelativePatchView(size=90, scale=(1.0, 1.0), colors=colors)  # type: ignore[arg-type]
    batch = view(ramps(), ItemRandom(0, 0, range(MANY)))
    pair, place = batch["pair"], batch["place"]
    assert pair.shape == (MANY, 2, 3, 20, 20)
    assert torch.bincount(place, minlength=8).min() > 3
    if colors == "project":
        return
    step = (pair[:, 1] - pair[:, 0]).mean((-2, -1))
    cell = torch.tensor([0, 1, 2, 3, 5, 6, 7, 8])[place]
    assert torch.equal(step[:, 0].div(0.2).round().long(), cell % 3 - 1)
    assert torch.equal(step[:, 1].div(0.2).round().long(), cell // 3 - 1)


def test_colors_against_aberration_leave_one_channel_or_take_green_to_magenta_out() -> None:
    noise = torch.randint(0, 256, (8, 1, 3, 90, 90), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    settings = {"size": 90, "scale": (0.9, 1.0)}
    random = ItemRandom(0, 0, range(8))
    plain = RelativePatchView(**settings, colors="keep")(noise, random)["pair"]
    dropped = RelativePatchView(**settings, colors="drop")(noise, random)["pair"]
    same = (dropped == plain).flatten(-2).all(-1)
    assert (same.sum(-1) == 1).all()
    assert dropped[~same].std(dim=(-2, -1)).max() < 0.01 < plain.std(dim=(-2, -1)).min()
    projected = RelativePatchView(**settings, colors="project")(noise, random)["pair"]
    inside = ((projected > 0) & (projected < 1)).all(2)
    green = 2 * projected[:, :, 1] - projected[:, :, 0] - projected[:, :, 2]
    assert green[inside].abs().max() < 1e-5


def test_patches_leave_a_gap() -> None:
    view = RelativePatchView(size=432)
    assert (view.patch, view.cell, view.reach) == (96, 144, 7)


def test_tiles_lie_in_the_order_that_the_answer_names() -> None:
    """Each cell has stripes of a width of its own, which outlast the change of mean and deviation."""
    places = torch.arange(90)
    stripes = [(places // width % 2 * 200).to(torch.uint8) for width in range(1, 10)]
    rows = [
        torch.cat([stripes[3 * row + column][:30].expand(30, 30) for column in range(3)], dim=1) for row in range(3)
    ]
    clips = torch.cat(rows)[None, None, None].expand(MANY, 1, 3, 90, 90).contiguous()
    view = JigsawView(size=90, scale=(1.0, 1.0), num_permutations=50)
    batch = view(clips, ItemRandom(0, 0, range(MANY)))
    assert batch["tiles"].shape == (MANY, 9, 3, 26, 26)
    assert len(set(batch["permutation"].tolist())) > 30
    changes = (batch["tiles"][:, :, 0, 0].diff(dim=-1).abs() > 0.1).sum(-1)
    wanted = view.permutations[batch["permutation"]]
    for cell, tiles in ((0, changes[wanted == 0]), (1, changes[wanted == 1]), (8, changes[wanted == 8])):
        expected = 25 / (cell + 1)
        assert (tiles - expected).abs().max() <= 1.5, cell


def test_a_tile_has_one_mean_and_deviation() -> None:
    noise = torch.randint(100, 156, (4, 1, 3, 90, 90), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    tiles = JigsawView(size=90)(noise, ItemRandom(0, 0, range(4)))["tiles"]
    assert_close(tiles.mean((-2, -1)), torch.full((4, 9, 3), 0.45), atol=0.01, rtol=0)
    assert_close(tiles.std((-2, -1)), torch.full((4, 9, 3), 0.225), atol=0.015, rtol=0)
    with pytest.raises(ConfigError, match="tile_share"):
        JigsawView(tile_share=1.2)
