"""Effects on sound: each does what it says by its amount, keeps moments and lengths, and treats each window alone."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from mmssl.functional.sound_effects import (
    add_noise,
    mask_time,
    reject_band,
    reverberate,
    shift_pitch,
    sound_lengths,
)

RATE = 8000


def tone(hertz: float, seconds: float = 0.5) -> Tensor:
    return torch.sin(2 * math.pi * hertz * torch.arange(round(seconds * RATE)) / RATE)[None, None]


def strongest_hertz(sound: Tensor) -> Tensor:
    return torch.fft.rfft(sound[:, 0]).abs().argmax(1) * RATE / sound.shape[2]


def test_pitch_goes_up_and_down_and_moments_stay() -> None:
    factors = torch.tensor([0.8, 1.0, 1.25])
    shifted = shift_pitch(tone(600).expand(3, -1, -1), factors, sample_rate=RATE)
    assert_close(strongest_hertz(shifted), 600 * factors, atol=25, rtol=0)
    assert_close(shifted[1], tone(600)[0], atol=1e-3, rtol=0)
    click = torch.full((2, 1, 4000), 1e-4)
    click[:, :, 2015] = 1.0
    heard = shift_pitch(click, torch.tensor([0.8, 1.25]), sample_rate=RATE)
    assert (heard[:, 0].argmax(1) - 2015).abs().max() < 0.025 * RATE


def test_an_echo_is_a_convolution_that_begins_after_the_sound() -> None:
    sound, noise = torch.randn(2, 1, 60), torch.randn(2, 20)
    decay, wet = torch.tensor([0.001, 0.01]), torch.tensor([0.5, 0.0])
    heard = reverberate(sound, noise, decay_seconds=decay, wet=wet, sample_rate=RATE)
    assert_close(heard[1], sound[1], atol=1e-5, rtol=0)
    echo = torch.stack([noise[0, place] * 10 ** (-3 * place / RATE / 0.001) for place in range(20)])
    echo *= (0.5 / echo.square().sum()).sqrt()
    by_hand = sound[0, 0].clone()
    for time in range(60):
        for back in range(1, min(time, 20) + 1):
            by_hand[time] += echo[back - 1] * sound[0, 0, time - back]
    assert_close(heard[0, 0], by_hand, atol=1e-4, rtol=0)


def test_noise_lies_as_far_below_as_asked() -> None:
    sound = 0.2 * torch.randn(3, 1, 8000)
    sound[0, :, 4000:] = 0
    added = add_noise(sound, torch.randn(3, 1, 8000), torch.tensor([10.0, 20.0, torch.inf])) - sound
    assert_close(added[2], torch.zeros(1, 8000))
    for row, length, wanted in ((0, 4000, 10.0), (1, 8000, 20.0)):
        ratio = sound[row, 0, :length].square().mean() / added[row, 0, :length].square().mean()
        assert_close(10 * ratio.log10(), torch.tensor(wanted), atol=0.5, rtol=0)


def test_a_band_without_sound() -> None:
    both = (tone(500) + tone(2000)).expand(2, -1, -1)
    heard = reject_band(both, torch.tensor([1500.0, 0.0]), torch.tensor([2500.0, 0.0]), sample_rate=RATE)
    assert_close(heard[0, 0, 400:-400], tone(500)[0, 0, 400:-400], atol=0.05, rtol=0)
    assert_close(heard[1], both[1], atol=1e-5, rtol=0)


def test_a_silent_part_within_the_sound() -> None:
    sound = torch.ones(3, 1, 100)
    sound[1, :, 50:] = 0
    heard = mask_time(sound, torch.tensor([0.0, 1.0, 0.5]), torch.tensor([0.2, 0.2, 0.0]))
    assert heard[0, 0].nonzero()[:, 0].tolist() == list(range(20, 100))
    assert heard[1, 0].nonzero()[:, 0].tolist() == [*range(40), 49]
    assert_close(heard[2], sound[2])


@pytest.mark.parametrize("effect", ["pitch", "reverb", "noise", "band", "mask"])
def test_silence_that_fills_up_stays_and_windows_are_treated_alone(effect: str) -> None:
    generator = torch.Generator().manual_seed(0)
    sound = torch.randn(3, 1, 2000, generator=generator)
    sound[0, :, 700:] = 0
    sound[2] = 0
    noise = torch.randn(3, 1, 2000, generator=generator)
    amount = torch.tensor([0.3, 0.2, 0.1])

    def changed(rows: slice) -> Tensor:
        x, some = sound[rows], amount[rows]
        if effect == "pitch":
            return shift_pitch(x, 1 + some, sample_rate=RATE)
        if effect == "reverb":
            return reverberate(x, noise[rows, 0, :400], decay_seconds=some, wet=some, sample_rate=RATE)
        if effect == "noise":
            return add_noise(x, noise[rows], 30 * some)
        if effect == "band":
            return reject_band(x, 1000 * some, 5000 * some, sample_rate=RATE)
        return mask_time(x, some, some)

    together = changed(slice(None))
    assert sound_lengths(together).tolist() == [700, 2000, 0]
    assert not torch.equal(together[1], sound[1])
    for row in range(3):
        assert_close(changed(slice(row, row + 1)), together[row : row + 1], atol=1e-5, rtol=0)
