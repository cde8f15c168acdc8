import math

import pytest
import torch
from torch import Tensor

from mmssl.config import build
from mmssl.errors import ConfigError
from mmssl.functional.sound_statistics import sound_statistics
from mmssl.models import ENCODER_CHOICE
from mmssl.objectives.audio_clusters import AudioClusters
from mmssl.objectives.objective import Batch
from tests.objectives.family import ENCODER, make_batch, make_objective
from tests.training.tiny import TinyClips

RATE = 8000


def objective(**settings: int) -> AudioClusters:
    torch.manual_seed(0)
    settings = {"num_clusters": 2, "num_bands": 8, "sample_rate": RATE} | settings
    return AudioClusters(build(ENCODER, ENCODER_CHOICE), **settings)


def low_and_high(num_clips: int = 6) -> Batch:
    """Two moments a clip: dark frames with noise below 1 kHz, bright ones with noise above."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.fft.rfft(torch.randn(num_clips, 2, 1, RATE // 2, generator=generator))
    hertz = torch.fft.rfftfreq(RATE // 2, 1 / RATE)
    high = (torch.arange(num_clips) % 2 == 1)[:, None, None, None]
    sound = torch.fft.irfft(noise * torch.where(high, hertz > 1500, hertz < 1000))
    frames = torch.rand(num_clips, 2, 1, 3, 16, 16, generator=generator) * 0.2 + 0.7 * high[..., None, None]
    return {"frames": frames, "sound": sound}


def test_clusters_are_kinds_of_sound_and_are_learnt_from_frames() -> None:
    method, batch = objective(), low_and_high()
    method.prepare(batch)
    labels = method.labels(batch).reshape(6, 2)
    assert (labels[0::2] == labels[0, 0]).all()
    assert (labels[1::2] == labels[1, 0]).all()
    assert labels[0, 0] != labels[1, 0]
    assert method.guesses == {"accuracy": 0.5}
    optimizer = torch.optim.AdamW(method.parameters(), lr=3e-3)
    for _ in range(30):
        optimizer.zero_grad()
        method(batch)["loss"].backward()
        optimizer.step()
    assert method(batch)["accuracy"] == 1.0
    method.classifier.requires_grad_(False).weight.zero_()
    method.classifier.bias.zero_()
    assert method(batch)["loss"].item() == pytest.approx(math.log(2))


def by_loops(every: dict[str, Tensor]) -> Tensor:
    """Each number standardised; each kind of them as long as any other."""
    columns = []
    for values in every.values():
        for column in values.T:
            spread = float((column - column.mean()).square().mean().sqrt())
            columns.append(
                (column - column.mean()) / spread / math.sqrt(values.shape[1]) if spread > 1e-6 else 0 * column
            )
    return torch.stack(columns, dim=1)


def test_points_are_those_of_loops() -> None:
    method, batch = objective(), low_and_high()
    method.prepare(batch)
    every = sound_statistics(batch["sound"].flatten(0, 2), sample_rate=RATE, num_bands=8)
    points = by_loops(every)
    centers = torch.stack([points[method.labels(batch) == cluster].mean(0) for cluster in range(2)])
    torch.testing.assert_close(method.centers, centers, rtol=1e-3, atol=1e-4)


def test_a_silent_batch_has_clusters_too() -> None:
    method, batch = objective(), low_and_high()
    batch["sound"] = torch.zeros_like(batch["sound"])
    method.prepare(batch)
    assert torch.isfinite(method(batch)["loss"])


def test_clips_without_sound_and_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match="wants sound of 8000 Hz beside the pictures, and the clips have none"):
        objective().check_fits(TinyClips())
    with pytest.raises(ConfigError, match="num_clusters 1"):
        objective(num_clusters=1)


def test_pictures_show_frames_by_cluster() -> None:
    method = make_objective("audio_clusters")
    batch = make_batch(method)
    method.prepare(batch)
    frames, levels = method.pictures(batch).values()
    assert frames.shape[2] == 8 * 33 - 1
    assert levels.shape == (3, 4 * 16, 8 * 16)
