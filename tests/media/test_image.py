"""Every kind of still image becomes upright 8-bit RGB; masks keep their indices."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmssl.errors import DecodeError, MediaError
from mmssl.media.image import davis_palette, image_size, read_image, read_index_png, write_index_png, write_png

RGB = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)


def test_png_comes_back(tmp_path: Path) -> None:
    image = torch.from_numpy(RGB).permute(2, 0, 1)
    write_png(tmp_path / "a.png", image)
    assert torch.equal(read_image(tmp_path / "a.png"), image)
    assert image_size(tmp_path / "a.png") == (12, 20)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int, tmp_path: Path) -> None:
    upright = np.kron(np.arange(6, dtype=np.uint8).reshape(2, 3) * 40, np.ones((16, 16), np.uint8))
    flipped = upright[:, ::-1] if orientation in (2, 4, 5, 7) else upright
    stored = np.rot90(flipped, {3: 2, 4: 2, 5: 1, 6: 1, 7: 3, 8: 3}.get(orientation, 0))
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.png", exif=exif)
    got = read_image(tmp_path / "a.png")[0].numpy()
    assert image_size(tmp_path / "a.png") == got.shape == upright.shape
    assert np.array_equal(got, upright)


def test_modes(tmp_path: Path) -> None:
    gray = RGB[..., 0]
    Image.fromarray(gray).save(tmp_path / "gray.png")
    assert np.array_equal(read_image(tmp_path / "gray.png")[1], gray)
    Image.fromarray(gray.astype(np.uint16) * 257).save(tmp_path / "gray16.png")
    assert np.array_equal(read_image(tmp_path / "gray16.png")[2], gray)
    Image.fromarray(gray > 128).save(tmp_path / "bits.png")
    assert set(read_image(tmp_path / "bits.png").unique().tolist()) == {0, 255}
    Image.fromarray(RGB).convert("CMYK").save(tmp_path / "cmyk.tif")
    assert np.array_equal(read_image(tmp_path / "cmyk.tif").permute(1, 2, 0), RGB)
    Image.fromarray(RGB).quantize(16).save(tmp_path / "palette.png")
    assert read_image(tmp_path / "palette.png").shape == (3, 12, 20)
    alpha = np.concatenate([RGB, np.full((12, 20, 1), 255, np.uint8)], -1)
    alpha[:6, :, 3] = 0
    Image.fromarray(alpha).save(tmp_path / "alpha.png")
    got = read_image(tmp_path / "alpha.png").permute(1, 2, 0).numpy()
    assert bool((got[:6] == 255).all())
    assert np.array_equal(got[6:], RGB[6:])


def test_masks(tmp_path: Path) -> None:
    labels = torch.arange(256).view(16, 16)
    write_index_png(tmp_path / "a.png", labels)
    assert torch.equal(read_index_png(tmp_path / "a.png"), labels.to(torch.uint8))
    assert torch.equal(read_image(tmp_path / "a.png").permute(1, 2, 0), davis_palette()[labels])
    assert davis_palette()[[0, 1, 2, 3, 21, 255]].tolist() == [
        [0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [128, 64, 128], [224, 224, 192],
    ]  # fmt: skip
    with pytest.raises(MediaError, match="labels run from 0 to 300"):
        write_index_png(tmp_path / "b.png", torch.tensor([[0, 300]]))
    Image.fromarray(RGB[..., 0]).save(tmp_path / "gray.png")
    assert np.array_equal(read_index_png(tmp_path / "gray.png"), RGB[..., 0])
    Image.fromarray(RGB).save(tmp_path / "color.png")
    with pytest.raises(MediaError, match="mode RGB"):
        read_index_png(tmp_path / "color.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "bmp"])
def test_truncated_images(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.tile(RGB, (8, 8, 1))).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MediaError, match=path.name):
        read_image(path)


def test_a_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + body)
    with pytest.raises(MediaError, match=r"60000 x 60000|more than"):
        read_image(tmp_path / "a.png")


def test_damaged_image_data(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(RGB).save(path)
    data = bytearray(path.read_bytes())
    data[60:200] = bytes(140)
    path.write_bytes(data)
    with pytest.raises(DecodeError, match=r"a\.png: cannot be decoded"):
        read_image(path)
