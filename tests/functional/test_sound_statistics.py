import itertools
import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from mmssl.functional.sound_statistics import (
    BAND_DISTANCES,
    ENVELOPE_RATE,
    MODULATION_EDGES,
    band_weights,
    cochleagram,
    num_statistics,
    sound_statistics,
)

RATE, BANDS = 8000, 10


def noise(count: int = 2, *, seconds: float = 0.5) -> torch.Tensor:
    return 0.2 * torch.randn(count, round(seconds * RATE), generator=torch.Generator().manual_seed(0))


def erbs(hertz: float) -> float:
    return 21.4 * math.log10(1 + 0.00437 * hertz)


def envelopes_by_loops(sound: np.ndarray) -> np.ndarray:
    """Envelope of each band, window by window and bin by bin."""
    length, hop, size = 256, 20, 256
    low, high = erbs(50.0), erbs(RATE / 2)
    step = (high - low) / (BANDS + 1)
    found = []
    for start in range(0, len(sound) - length + 1, hop):
        window = sound[start : start + length] * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length))
        power = np.abs(np.fft.rfft(window, size)) ** 2
        column = []
        for band in range(BANDS):
            total = 0.0
            for place in range(len(power)):
                away = (erbs(place * RATE / size) - (low + (band + 1) * step)) / step
                if abs(away) < 1:
                    total += power[place] * math.cos(away * math.pi / 2) ** 2
            column.append(max(total, 1e-8) ** 0.15)
        found.append(column)
    return np.array(found).T


def test_statistics_are_those_of_loops() -> None:
    sound = noise()
    found = sound_statistics(sound, sample_rate=RATE, num_bands=BANDS)
    for item in range(2):
        envelopes = envelopes_by_loops(sound[item].double().numpy())
        assert_close(
            cochleagram(sound, sample_rate=RATE, num_bands=BANDS)[item],
            torch.from_numpy(envelopes).float(),
            rtol=1e-3,
            atol=1e-4,
        )
        assert_close(found["mean"][item], torch.from_numpy(envelopes.mean(1)).float(), rtol=1e-3, atol=1e-4)
        assert_close(found["deviation"][item], torch.from_numpy(envelopes.std(1)).float(), rtol=1e-3, atol=1e-4)
        times = np.arange(envelopes.shape[1]) / ENVELOPE_RATE
        shares = []
        for envelope in envelopes:
            centered = envelope - envelope.mean()
            for low, high in itertools.pairwise(MODULATION_EDGES):
                total = 0.0
                for place in range(-(len(times) // 2) + 1, len(times) // 2 + 1):
                    hertz = abs(place) * ENVELOPE_RATE / len(times)
                    if low <= hertz < high:
                        total += (
                            abs((centered * np.exp(-2j * np.pi * place * np.arange(len(times)) / len(times))).mean())
                            ** 2
                        )
                shares.append(total / centered.var())
        assert_close(found["modulation"][item], torch.tensor(shares, dtype=torch.float32), rtol=1e-2, atol=1e-4)
        pairs = [
            np.corrcoef(envelopes[band], envelopes[band + away])[0, 1]
            for away in BAND_DISTANCES
            if away < BANDS
            for band in range(BANDS - away)
        ]
        assert_close(found["correlation"][item], torch.tensor(pairs, dtype=torch.float32), rtol=1e-3, atol=1e-3)
    assert {name: values.shape[1] for name, values in found.items()} == num_statistics(BANDS)


@pytest.mark.parametrize("hertz", [5.0, 11.0, 40.0])
def test_a_flickering_tone_is_where_it_is(hertz: float) -> None:
    time = torch.arange(2 * RATE) / RATE
    sound = (0.3 * torch.sin(2 * torch.pi * 1000 * time) * (1 + torch.sin(2 * torch.pi * hertz * time)))[None]
    found = sound_statistics(sound, sample_rate=RATE, num_bands=BANDS)
    low, high = erbs(50.0), erbs(RATE / 2)
    band = round((erbs(1000.0) - low) / ((high - low) / (BANDS + 1))) - 1
    assert int(found["mean"][0].argmax()) == band
    shares = found["modulation"][0].reshape(BANDS, -1)[band]
    assert int(shares.argmax()) == sum(edge <= hertz for edge in MODULATION_EDGES) - 1
    assert 0.5 < float(shares.max()) <= 1.0


def test_neither_loudness_alone_nor_silence_breaks_them() -> None:
    loud, soft = (sound_statistics(gain * noise(), sample_rate=RATE, num_bands=BANDS) for gain in (1.0, 0.1))
    assert_close(soft["mean"], loud["mean"] * 0.1**0.3, rtol=1e-3, atol=1e-5)
    assert_close(soft["correlation"], loud["correlation"], rtol=1e-2, atol=1e-2)
    silent = sound_statistics(torch.zeros(1, RATE), sample_rate=RATE, num_bands=BANDS)
    assert all(bool(torch.isfinite(values).all()) for values in silent.values())
    assert silent["correlation"].abs().max() < 1e-6


def test_every_band_has_bins_and_neighbors_share_theirs() -> None:
    weights = band_weights(257, sample_rate=16000, num_bands=32)
    assert weights.shape == (257, 32)
    assert bool((weights.sum(0) > 0).all())
    inner = weights.sum(1)[(weights[:, 0].argmax() + 1) : weights[:, -1].argmax()]
    assert_close(inner, torch.ones_like(inner), rtol=1e-4, atol=1e-4)
