"""Statistics of sound over a stretch of time, as they tell rain from a crowd: how loud which bands are, and how they vary."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

LOWEST_HERTZ = 50.0
ENVELOPE_RATE = 400
"""Values of an envelope a second."""

WINDOW_SECONDS = 0.032
COMPRESSION = 0.3
MODULATION_EDGES = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
"""Hertz; each two neighbors bound a band of modulation."""

BAND_DISTANCES = (1, 2, 4, 8)
"""How far apart bands are whose envelopes are compared."""

_SMALLEST = 1e-8


def cochleagram(
    sound: Float[Tensor, "batch samples"], *, sample_rate: int, num_bands: int
) -> Float[Tensor, "batch bands times"]:
    """Compressed envelopes of bands that are evenly spaced as the ear spaces them.

    Each band is a half cosine on the scale of equivalent rectangular bandwidths, as wide as the distance of its neighbors, over
    a short-time spectrum; its envelope is the root of its power, to the power of 0.3.

    Args:
        sound: Amplitudes.
        sample_rate: In hertz.
        num_bands: From 50 Hz to half the sample rate.

    Source:
        Owens et al. 2016, arXiv:1608.07017, section 3.1; bandwidths by Glasberg and Moore 1990,
        doi:10.1016/0378-5955(90)90170-T.
    """
    length = min(round(WINDOW_SECONDS * sample_rate), sound.shape[1])
    hop = max(1, sample_rate // ENVELOPE_RATE)
    frames = sound.unfold(1, length, hop) * torch.hann_window(length, device=sound.device)
    power = torch.fft.rfft(frames, 1 << (round(WINDOW_SECONDS * sample_rate) - 1).bit_length()).abs().square()
    bands = band_weights(power.shape[2], sample_rate=sample_rate, num_bands=num_bands).to(power)
    envelopes: Tensor = (power @ bands).transpose(1, 2).clamp_min(_SMALLEST).pow(COMPRESSION / 2)
    return envelopes


def band_weights(num_bins: int, *, sample_rate: int, num_bands: int) -> Float[Tensor, "bins bands"]:
    """How much each bin of a spectrum, from 0 Hz to half the sample rate, counts in each band."""
    highest = sample_rate / 2
    scale = _bandwidths_below(torch.linspace(0, highest, num_bins, dtype=torch.float64))
    low, high = _bandwidths_below(torch.tensor([LOWEST_HERTZ, highest], dtype=torch.float64)).tolist()
    edges = torch.linspace(low, high, num_bands + 2, dtype=torch.float64)
    away = (scale[:, None] - edges[1:-1]) / (edges[1] - edges[0])
    weights = torch.where(away.abs() < 1, torch.cos(away * torch.pi / 2).square(), 0.0)
    return weights.float()


def _bandwidths_below(hertz: Float[Tensor, " values"]) -> Float[Tensor, " values"]:
    """How many equivalent rectangular bandwidths lie below a frequency."""
    return 21.4 * torch.log10(1 + 0.00437 * hertz)


def sound_statistics(
    sound: Float[Tensor, "batch samples"], *, sample_rate: int, num_bands: int
) -> dict[str, Float[Tensor, "batch numbers"]]:
    """What a stretch of sound is like, whatever the moment at which things sound in it.

    Args:
        sound: Amplitudes.
        sample_rate: In hertz.
        num_bands: Of the cochleagram.

    Returns:
        Of each band's envelope `mean` and `deviation`, and `modulation`, the share of its variance in each band of modulation
        in turn; and `correlation`, of the envelopes of bands that are 1, 2, 4 and 8 apart, 0 where one does not change.

    Source:
        Owens et al. 2016, arXiv:1608.07017, section 3.1, after McDermott and Simoncelli 2011,
        doi:10.1016/j.neuron.2011.06.032.
    """
    envelopes = cochleagram(sound, sample_rate=sample_rate, num_bands=num_bands)
    mean = envelopes.mean(2)
    centered = envelopes - mean[:, :, None]
    variance = centered.square().mean(2)
    spectrum = torch.fft.rfft(centered).abs().square()
    spectrum[:, :, 1:] *= 2
    if envelopes.shape[2] % 2 == 0:
        spectrum[:, :, -1] /= 2
    hertz = torch.fft.rfftfreq(envelopes.shape[2], 1 / ENVELOPE_RATE).to(sound.device)
    edges = torch.tensor(MODULATION_EDGES, device=sound.device)
    inside = (hertz[:, None] >= edges[:-1]) & (hertz[:, None] < edges[1:])
    shares = spectrum @ inside.to(spectrum) / (envelopes.shape[2] ** 2 * variance[:, :, None].clamp_min(_SMALLEST))
    unit = centered * torch.rsqrt(variance[:, :, None].clamp_min(_SMALLEST))
    correlations = [
        (unit[:, away:] * unit[:, : num_bands - away]).mean(2) for away in BAND_DISTANCES if away < num_bands
    ]
    return {
        "mean": mean,
        "deviation": variance.sqrt(),
        "modulation": shares.flatten(1),
        "correlation": torch.cat(correlations, dim=1) if correlations else mean[:, :0],
    }


def num_statistics(num_bands: int) -> dict[str, int]:
    """How many numbers `sound_statistics` gives of each kind."""
    pairs = sum(num_bands - away for away in BAND_DISTANCES if away < num_bands)
    modulations = num_bands * (len(MODULATION_EDGES) - 1)
    return {"mean": num_bands, "deviation": num_bands, "modulation": modulations, "correlation": pairs}


def all_statistics(
    sound: Float[Tensor, "batch samples"], *, sample_rate: int, num_bands: int
) -> Float[Tensor, "batch numbers"]:
    """The numbers of `sound_statistics`, one kind after the other."""
    return torch.cat(list(sound_statistics(sound, sample_rate=sample_rate, num_bands=num_bands).values()), dim=1)


def statistics_scale(
    statistics: Float[Tensor, "moments numbers"], *, num_bands: int
) -> tuple[Float[Tensor, " numbers"], Float[Tensor, " numbers"]]:
    """Mean of each number, and what to multiply its distance from there by so that each kind of statistic weighs alike.

    A number that does not vary counts for nothing.
    """
    spread = statistics.std(0, correction=0)
    sizes = torch.cat([torch.full((size,), float(size)) for size in num_statistics(num_bands).values()])
    scale = spread * sizes.to(spread).sqrt()
    return statistics.mean(0), torch.where(spread > 1e-6, 1 / scale.clamp_min(1e-12), 0.0)


def nearest_center(
    points: Float[Tensor, "points numbers"], centers: Float[Tensor, "clusters numbers"]
) -> Int[Tensor, " points"]:
    """The cluster that each point is of, by Euclidean distance; the same for one point as among many."""
    return torch.cdist(points, centers, compute_mode="donot_use_mm_for_euclid_dist").argmin(1)
