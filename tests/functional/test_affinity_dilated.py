import itertools
import math

import pytest
import torch
from torch import Tensor

from mmssl.functional.affinity import Window, propagate_normalized
from mmssl.functional.affinity_dilated import propagate_dilated


def at(maps: Tensor, y: float, x: float) -> Tensor:
    """The value of maps between cells."""
    top, left = math.floor(y), math.floor(x)
    bottom, right = math.ceil(y), math.ceil(x)
    above = maps[:, top, left] * (1 - (x - left)) + maps[:, top, right] * (x - left)
    below = maps[:, bottom, left] * (1 - (x - left)) + maps[:, bottom, right] * (x - left)
    return above * (1 - (y - top)) + below * (y - top)


def slowly(
    query: Tensor, keys: list[Tensor], values: list[Tensor], dilations: list[int], radius: int, temperature: float
) -> Tensor:
    """Every cell, every place, one after the other."""
    _, height, width = query.shape
    steps = list(itertools.product(range(-radius, radius + 1), repeat=2))

    def inside(y: float, x: float) -> bool:
        return 0 <= y <= height - 1 and 0 <= x <= width - 1

    out = torch.zeros(len(values[0]), height, width)
    for y, x in itertools.product(range(height), range(width)):
        scores, found = [], []
        for key, value, dilation in zip(keys, values, dilations, strict=True):
            center = float(y), float(x)
            if dilation > 1:
                looks = [
                    (y + dilation * i, x + dilation * j) for i, j in steps if inside(y + dilation * i, x + dilation * j)
                ]
                weights = torch.stack([query[:, y, x] @ key[:, i, j] / temperature for i, j in looks]).softmax(0)
                center = tuple(((weights @ torch.tensor(looks).float()) * 1024).round().div(1024).tolist())
            for i, j in steps:
                place = center[0] + i, center[1] + j
                if inside(*place):
                    scores.append(query[:, y, x] @ at(key, *place) / temperature)
                    found.append(at(value, *place))
        out[:, y, x] = torch.stack(scores).softmax(0) @ torch.stack(found)
    return out


@pytest.mark.parametrize(
    ("size", "dilations", "radius"),
    [((5, 6), [1, 1], 2), ((9, 8), [2, 1, 3], 1), ((3, 11), [4], 2), ((1, 1), [2], 1), ((4, 4), [1], 0)],
)
def test_matches_loops(size: tuple[int, int], dilations: list[int], radius: int) -> None:
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(4, *size, generator=generator)
    keys = [torch.randn(4, *size, generator=generator) for _ in dilations]
    values = [torch.rand(3, *size, generator=generator) for _ in dilations]
    got = propagate_dilated(query, keys, values, dilations=dilations, radius=radius, temperature=0.7)
    torch.testing.assert_close(got, slowly(query, keys, values, dilations, radius, 0.7), rtol=0, atol=1e-5)


def test_without_dilation_it_is_the_top_k_rule_with_every_cell_kept() -> None:
    features = torch.nn.functional.normalize(torch.randn(3, 5, 11, 19), dim=1)
    values = torch.rand(2, 2, 11, 19)
    got = propagate_dilated(features[0], list(features[1:]), list(values), dilations=[1, 1], radius=2, temperature=0.1)
    joint = propagate_normalized(
        features[0], list(features[1:]), list(values), windows=[Window(2)] * 2, top_k=50, temperature=0.1
    )
    torch.testing.assert_close(got, joint, rtol=0, atol=1e-5)


def test_a_window_follows_what_has_moved_out_of_it() -> None:
    """A cell unlike all others moves by 6 cells; a window of radius 2 finds it only after a look by every third cell."""
    query, key, value = torch.zeros(2, 12, 12), torch.zeros(2, 12, 12), torch.zeros(1, 12, 12)
    query[1, 8, 9] = key[1, 2, 3] = 100.0
    value[0, 2, 3] = 1.0
    near, far = (
        propagate_dilated(query, [key], [value], dilations=[dilation], radius=2, temperature=1.0)[0, 8, 9]
        for dilation in (1, 3)
    )
    assert near == 0
    assert far == pytest.approx(1.0)


def test_refuses_settings_out_of_range() -> None:
    cell = torch.zeros(1, 1, 1)
    with pytest.raises(ValueError, match="at least one"):
        propagate_dilated(cell, [], [], dilations=[], radius=1, temperature=1.0)
    with pytest.raises(ValueError, match="radius >= 0"):
        propagate_dilated(cell, [cell], [cell], dilations=[0], radius=1, temperature=1.0)
