import pytest
import torch
from torch.testing import assert_close

from mmssl.functional.kmeans import kmeans


def test_finds_separate_groups() -> None:
    means = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [40.0, 40.0]])
    points = (means[:, None] + 0.1 * torch.randn(4, 50, 2)).flatten(0, 1)[torch.randperm(200)]
    centers = kmeans(points, num_clusters=4)
    assert_close(torch.cdist(means, centers).min(1).values, torch.zeros(4), atol=0.1, rtol=0)


def test_centers_are_the_means_of_their_members() -> None:
    points = torch.randn(300, 2)
    centers = kmeans(points, num_clusters=5, num_iterations=200)
    members = torch.cdist(points, centers).argmin(1)
    for cluster in range(5):
        assert_close(points[members == cluster].mean(0), centers[cluster])


def test_is_the_same_each_time_and_leaves_global_randomness_alone() -> None:
    points = torch.randn(100, 2)
    before = torch.get_rng_state()
    first = kmeans(points, num_clusters=6)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    assert torch.equal(kmeans(points, num_clusters=6), first)


def test_fewer_colors_than_clusters() -> None:
    centers = kmeans(torch.tensor([[1.0, 2.0], [3.0, 4.0]]).repeat(10, 1), num_clusters=5)
    assert torch.isfinite(centers).all()
    assert {tuple(center) for center in centers.tolist()} == {(1.0, 2.0), (3.0, 4.0)}


@pytest.mark.parametrize("points", [torch.zeros(0, 2), torch.full((3, 2), torch.nan)])
def test_refuses_points_it_cannot_cluster(points: torch.Tensor) -> None:
    with pytest.raises(ValueError):
        kmeans(points, num_clusters=2)
