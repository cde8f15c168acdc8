import pytest
import torch
from torch.testing import assert_close

from mmssl.propagation.heat_maps import decode_points, encode_points


def test_known_values() -> None:
    maps = encode_points(torch.tensor([[12.0, 4.0]]), cells=(2, 3), stride=8, sigma_cells=1)
    rows, columns = torch.tensor([0.0, 1.0]), torch.tensor([-1.0, 0.0, 1.0])
    assert_close(maps[0], (-(rows[:, None] ** 2 + columns**2) / 2).exp())


@pytest.mark.parametrize("sigma", [0.5, 0.7, 1.0, 2.0])
@pytest.mark.parametrize("stride", [8.0, 4.5])
def test_round_trip(sigma: float, stride: float) -> None:
    """Everywhere in the frame, up to its very border, below a tenth of a cell; in the middle far below."""
    height, width = 6, 9
    ys = torch.linspace(0, height, 49)
    xs = torch.linspace(0, width, 73)
    points = torch.cartesian_prod(xs, ys) * stride
    got, confidence = decode_points(
        encode_points(points, cells=(height, width), stride=stride, sigma_cells=sigma), stride=stride
    )
    assert (got - points).abs().max() < 0.1 * stride
    middle = ((points > stride) & (points < torch.tensor([width - 1, height - 1]) * stride)).all(dim=1)
    assert (got - points)[middle].abs().max() < 0.001 * stride
    assert (confidence <= 1).all()
    assert (confidence > 0.1).all()


def test_half_cell_offset() -> None:
    maps = torch.zeros(2, 3, 4)
    maps[0, 0, 0] = maps[1, 2, 3] = 0.7
    points, confidence = decode_points(maps, stride=8)
    assert_close(points, torch.tensor([[4.0, 4.0], [28.0, 20.0]]))
    assert_close(confidence, torch.tensor([0.7, 0.7]))


def test_symmetry() -> None:
    torch.manual_seed(0)
    maps = encode_points(torch.rand(20, 2) * torch.tensor([56.0, 40.0]), cells=(5, 7), stride=8, sigma_cells=0.8)
    maps = (maps + 0.05 * torch.rand_like(maps)) * 0.3
    points, confidence = decode_points(maps, stride=8)
    mirrored, same = decode_points(maps.flip(2), stride=8)
    assert_close(mirrored, torch.stack((56 - points[:, 0], points[:, 1]), dim=1), atol=1e-3, rtol=0)
    assert_close(same, confidence)
    transposed, _ = decode_points(maps.transpose(1, 2), stride=8)
    assert_close(transposed, points.flip(1), atol=1e-3, rtol=0)
    assert_close(decode_points(maps * 5, stride=8)[0], points, atol=1e-3, rtol=0)


def test_noise_moves_a_point_little() -> None:
    torch.manual_seed(0)
    points = torch.rand(200, 2) * torch.tensor([56.0, 40.0]) + 8
    maps = encode_points(points, cells=(7, 9), stride=8, sigma_cells=0.8)
    got, _ = decode_points(maps * (1 + 0.1 * torch.randn_like(maps)), stride=8)
    assert (got - points).abs().mean() < 0.1 * 8


def test_absent_points() -> None:
    maps = encode_points(torch.tensor([[torch.nan, 3.0], [5.0, 5.0]]), cells=(4, 4), stride=4, sigma_cells=1)
    assert not maps[0].any()
    points, confidence = decode_points(maps, stride=4)
    assert points[0].isnan().all()
    assert confidence[0] == 0
    assert_close(points[1], torch.tensor([5.0, 5.0]), atol=1e-3, rtol=0)
    assert decode_points(torch.zeros(0, 4, 4), stride=4)[0].shape == (0, 2)


def test_wrong_settings() -> None:
    with pytest.raises(ValueError, match="must be > 0"):
        encode_points(torch.zeros(1, 2), cells=(2, 2), stride=0, sigma_cells=1)
    with pytest.raises(ValueError, match="infinite"):
        encode_points(torch.tensor([[torch.inf, 0]]), cells=(2, 2), stride=8, sigma_cells=1)
