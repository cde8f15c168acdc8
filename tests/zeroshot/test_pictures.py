"""Decoding a large JPEG at a reduced scale hardly changes what the image tower sees of it; thumbnails of videos."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import normalize

from mmssl.data.manifest import ManifestRow
from mmssl.functional.framing import Framing, framed
from mmssl.media.encode import VideoWriter
from mmssl.media.image import read_image
from mmssl.models.open_clip_encoder import OpenClip
from mmssl.zeroshot.pictures import thumbnail

CONFIG = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 64, "layers": 3, "width": 64, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


def photo(path: Path, size: tuple[int, int], *, seed: int) -> Path:
    """Detail of all sizes, the strength of each falling with its frequency, as in photographs."""
    random = np.random.default_rng(seed)
    rows, columns = (np.fft.fftfreq(side)[:, None] for side in size)
    falling = 1 / np.maximum(np.hypot(rows, columns.T), 1 / max(size))
    waves = np.fft.fft2(random.normal(size=(3, *size))) * falling
    pixels = np.fft.ifft2(waves).real
    pixels = 128 + 50 * pixels / pixels.std()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8).transpose(1, 2, 0)).save(path, quality=92)
    return path


@pytest.mark.parametrize("size", [(300, 400), (520, 700), (1100, 1040), (1601, 1700)])
def test_the_embedding_moves_by_less_than_a_hundredth(tmp_path: Path, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    encoder = OpenClip(config=CONFIG).eval()
    framing = encoder.framing
    assert isinstance(framing, Framing)
    found = []
    for at_least in (None, framing.size):
        images = []
        for seed in range(4):
            file = photo(tmp_path / f"{seed}.jpg", size, seed=seed)
            image = read_image(file, at_least=at_least)
            assert at_least is None or image.shape[1] < size[0]
            images.append(framed(image[None], framing))
        with torch.inference_mode():
            found.append(normalize(encoder(torch.cat(images).float() / 255), dim=1))
    moved = (found[0] - found[1]).norm(dim=1)
    assert moved.max() < 1e-2
    assert (found[0][1:] - found[0][:1]).norm(dim=1).min() > 3 * moved.max()


def test_the_thumbnail_of_a_video_shows_four_frames_in_order(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with VideoWriter(path, fps=10, size=(48, 64)) as writer:
        for shade in np.repeat([20, 90, 160, 230], 10):
            writer.write(torch.full((3, 48, 64), int(shade), dtype=torch.uint8))

    def shades(start: float | None, end: float | None) -> list[int]:
        row = ManifestRow(id="film", uri=str(path), media_type="video", start=start, end=end)
        picture = np.asarray(Image.open(io.BytesIO(thumbnail(row))).convert("L"))
        assert picture.shape == (2 * 120 + 5, 2 * 160 + 5)
        return [int(picture[line, column]) for line in (60, 185) for column in (80, 245)]

    assert shades(None, None) == pytest.approx([20, 90, 160, 230], abs=4)
    assert shades(2.0, 4.0) == pytest.approx([160, 160, 230, 230], abs=4)
