import torch

from mmssl.report.spectrogram import as_pictures, spectrograms


def test_a_tone_is_a_bright_line_at_its_frequency() -> None:
    time = torch.arange(8000) / 8000
    (picture,) = spectrograms(torch.sin(2 * torch.pi * 1000 * time)[None])
    row = picture.float().sum((0, 2)).argmax()
    assert abs(int(row) - (95 - 1000 / 4000 * 96)) <= 1
    assert picture.shape == (3, 96, 167)


def test_silence_is_black_and_pictures_stay() -> None:
    assert as_pictures(torch.zeros(2, 1, 300)).float().mean() < 2
    frames = torch.randint(0, 256, (2, 3, 5, 6), dtype=torch.uint8)
    assert torch.equal(as_pictures(frames), frames)
