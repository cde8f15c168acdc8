import base64
from io import BytesIO
from pathlib import Path

import pytest
import torch
from PIL import Image

from mmssl.media.image import write_png
from mmssl.report import assets
from mmssl.report.assets import Assets


def test_large_pngs_are_embedded_as_jpeg(tmp_path: Path) -> None:
    ramp = torch.arange(400, dtype=torch.float32)
    image = (127 + 60 * (ramp[:, None] / 40).sin() + torch.rand(3, 400, 400) * 60).to(torch.uint8)
    write_png(tmp_path / "large.png", image)
    write_png(tmp_path / "small.png", image[:, :20, :20])
    embedded = Assets(tmp_path)
    large, small = embedded.embed(tmp_path, "large.png"), embedded.embed(tmp_path, "small.png")
    kind, _, content = large.uri.partition(";base64,")
    assert kind == "data:image/jpeg"
    assert len(content) < (tmp_path / "large.png").stat().st_size / 2
    with Image.open(BytesIO(base64.b64decode(content))) as opened:
        assert opened.size == (large.width, large.height) == (400, 400)
    assert small.uri.startswith("data:image/png;base64,")
    assert base64.b64decode(small.uri.partition(",")[2]) == (tmp_path / "small.png").read_bytes()


def test_what_is_too_large_or_no_picture_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    write_png(tmp_path / "outside.png", torch.zeros(3, 2, 2, dtype=torch.uint8))
    write_png(tmp_path / "run" / "a.png", torch.zeros(3, 2, 2, dtype=torch.uint8))
    (tmp_path / "run" / "b.png").write_bytes(b"no picture")
    embedded = Assets(tmp_path / "run")
    assert "lies outside the run" in embedded.embed(tmp_path, "outside.png").note
    assert "is missing" in embedded.embed(tmp_path / "run", "c.png").note
    assert "is neither a picture nor a video" in embedded.embed(tmp_path / "run", "b.png").note
    monkeypatch.setattr(assets, "MAX_PAGE_BYTES", (tmp_path / "run" / "a.png").stat().st_size)
    assert not embedded.embed(tmp_path / "run", "a.png").note
    assert "too large to embed" in embedded.embed(tmp_path / "run", "a.png").note
    monkeypatch.setattr(assets, "MAX_FILE_BYTES", 10)
    assert "too large to embed" in Assets(tmp_path / "run").embed(tmp_path / "run", "a.png").note


def test_a_damaged_large_png_is_embedded_as_it_is(tmp_path: Path) -> None:
    write_png(tmp_path / "large.png", (torch.rand(3, 400, 400) * 255).to(torch.uint8))
    content = (tmp_path / "large.png").read_bytes()[:300_000]
    (tmp_path / "cut.png").write_bytes(content)
    uri = Assets(tmp_path).embed(tmp_path, "cut.png").uri
    assert base64.b64decode(uri.partition(",")[2]) == content
