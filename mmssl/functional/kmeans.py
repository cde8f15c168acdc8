"""k-means clustering that gives the same centers each time."""

import torch
from jaxtyping import Float
from torch import Tensor


def kmeans(
    points: Float[Tensor, "points dim"], *, num_clusters: int, num_iterations: int = 30, seed: int = 0
) -> Float[Tensor, "clusters dim"]:
    """Cluster centers by Lloyd's iterations from a k-means++ start; runs on the CPU and leaves global randomness alone.

    With fewer distinct points than clusters, centers repeat.

    Args:
        points: At least one.
        num_clusters: Centers to return; > 0.
        num_iterations: Rounds of assignment and averaging.
        seed: Of the start.

    Raises:
        ValueError: If there is no point, a point is not finite, or `num_clusters` is not positive.

    Source:
        Arthur and Vassilvitskii 2007, "k-means++: the advantages of careful seeding"; Lloyd 1982.
    """
    if len(points) == 0 or num_clusters < 1:
        raise ValueError(f"cannot put {len(points)} points into {num_clusters} clusters")
    data = points.detach().to("cpu", torch.float64)
    if not bool(torch.isfinite(data).all()):
        raise ValueError("a point is not finite")
    generator = torch.Generator().manual_seed(seed)
    chosen = [int(torch.randint(len(data), (), generator=generator))]
    nearest = (data - data[chosen[0]]).square().sum(1)
    while len(chosen) < num_clusters:
        cumulative = nearest.cumsum(0)
        drawn = torch.rand((), generator=generator, dtype=torch.float64) * cumulative[-1]
        chosen.append(min(int(torch.searchsorted(cumulative, drawn, right=True)), len(data) - 1))
        nearest = torch.minimum(nearest, (data - data[chosen[-1]]).square().sum(1))
    centers = data[chosen]
    for _ in range(num_iterations):
        members = torch.cdist(data, centers).argmin(1)
        sums = torch.zeros_like(centers).index_add_(0, members, data)
        counts = torch.bincount(members, minlength=num_clusters)[:, None]
        moved = torch.where(counts > 0, sums / counts.clamp_min(1), centers)
        if torch.equal(moved, centers):
            break
        centers = moved
    return centers.to(points.dtype).to(points.device)
