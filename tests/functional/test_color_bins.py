import math

import pytest
import torch
from torch.testing import assert_close

from mmssl.functional.color import quantize_ab, rgb_to_lab
from mmssl.functional.color_bins import NUM_BINS, ab_bins, annealed_mean, rebalancing_weights, soft_bins


def test_there_are_313_bins_near_every_color() -> None:
    bins = ab_bins()
    assert bins.shape == (NUM_BINS, 2)
    assert len(torch.unique(bins, dim=0)) == NUM_BINS
    assert bins[0].tolist() == [-90, 50]
    colors = rgb_to_lab(torch.rand(3, 500, 1))[1:, :, 0].T
    assert torch.cdist(colors, bins).amin(1).max() < 7.1


def test_soft_bins_match_one_color_at_a_time() -> None:
    bins, colors = ab_bins(), torch.rand(6, 2) * 60 - 30
    shares = soft_bins(colors, bins)
    for color, share in zip(colors.tolist(), shares, strict=True):
        distances = sorted((math.dist(color, center), place) for place, center in enumerate(bins.tolist()))[:5]
        weights = {place: math.exp(-(distance**2) / 50) for distance, place in distances}
        for place, weight in weights.items():
            assert share[place].item() == pytest.approx(weight / sum(weights.values()), rel=1e-4)
        assert (share > 0).sum() == 5
    assert torch.equal(shares.argmax(1), quantize_ab(colors.T[:, :, None], bins)[:, 0])


def test_rare_colors_weigh_more_and_the_mean_weight_is_one() -> None:
    bins = ab_bins()
    shares = torch.rand(NUM_BINS, generator=torch.Generator().manual_seed(0)) ** 8
    shares /= shares.sum()
    kernel = torch.exp(-torch.cdist(bins, bins).square() / 50)
    smoothed = shares @ (kernel / kernel.sum(1, keepdim=True))
    smoothed /= smoothed.sum()
    weights = rebalancing_weights(shares, bins)
    assert (weights * smoothed).sum().item() == pytest.approx(1.0, rel=1e-5)
    assert weights[smoothed.argmin()] == weights.max()
    assert weights[smoothed.argmax()] == weights.min()
    ratio = (0.5 * smoothed.max() + 0.5 / NUM_BINS) / (0.5 * smoothed.min() + 0.5 / NUM_BINS)
    assert (weights.max() / weights.min()).item() == pytest.approx(ratio.item(), rel=1e-4)
    assert_close(rebalancing_weights(shares, bins, uniform=1.0), torch.ones(NUM_BINS))


def test_the_annealed_mean_lies_between_mean_and_mode() -> None:
    bins, logits = ab_bins(), torch.randn(1, NUM_BINS, 1, 1)
    mean = (logits[0, :, 0, 0].softmax(0)[:, None] * bins).sum(0)
    assert_close(annealed_mean(logits, bins, temperature=1.0)[0, :, 0, 0], mean)
    mode = bins[logits[0, :, 0, 0].argmax()]
    assert_close(annealed_mean(logits, bins, temperature=1e-4)[0, :, 0, 0], mode)
    assert_close(annealed_mean(logits, bins, temperature=0.0)[0, :, 0, 0], mode)
