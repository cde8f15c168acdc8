import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mmssl.media.image import read_index_png, write_index_png
from mmssl.media.video import open_video
from mmssl.models.encoder import Encoder
from mmssl.propagation.feature_cache import CacheWarning, FeatureCache
from mmssl.propagation.frame_encoder import FrameEncoder
from mmssl.propagation.presets import Preset
from mmssl.propagation.video import propagate_video
from tests.propagation.test_video import contents

Squares = tuple[Path, Path, list[Tensor]]
Counted = tuple[Encoder, list[int]]


@pytest.fixture
def counted(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> Counted:
    """An encoder, and how many frames it was given each time."""
    counts: list[int] = []
    features: Callable[[Tensor], Tensor] = encoder.features
    monkeypatch.setattr(encoder, "features", lambda images: (counts.append(len(images)), features(images))[1])
    return encoder, counts


@pytest.fixture
def options(counted: Counted, small_preset: Preset, tmp_path: Path) -> dict[str, Any]:
    return {
        "encoder": counted[0],
        "encoder_name": "patches",
        "preset": small_preset,
        "overlay": False,
        "features": tmp_path / "features",
    }


def make_cache(folder: Path, encoder: Encoder, **digests: str) -> FeatureCache:
    names = {"encoder_digest": "e" * 16, "video_digest": "v" * 16, **digests}
    return FeatureCache(folder, FrameEncoder(encoder, "patches", (48, 80)), batch_size=4, **names)


def test_other_labels_and_presets_read_instead_of_encode(
    squares: Squares, counted: Counted, options: dict[str, Any], small_preset: Preset, tmp_path: Path
) -> None:
    frames, labels, truth = squares
    first = propagate_video(frames, labels, out=tmp_path / "first", **options)
    assert sum(counted[1]) == first.num_frames == 11
    counted[1].clear()
    write_index_png(tmp_path / "last.png", truth[10])
    other = {**options, "preset": Preset(**{**vars(small_preset), "top_k": 3})}
    result = propagate_video(frames, tmp_path / "last.png", label_frame=10, out=tmp_path / "other", **other)
    assert counted[1] == []
    for frame, mask in enumerate(truth):
        assert (read_index_png(result.mask_file(frame)) == mask).float().mean() > 0.95, frame


def test_filled_and_empty_cache_give_the_same_bytes(
    squares: Squares, options: dict[str, Any], counted: Counted, tmp_path: Path
) -> None:
    frames, labels, _ = squares
    for name in ("empty", "filled"):
        propagate_video(frames, labels, out=tmp_path / name, **options)
    assert contents(tmp_path / "empty") == contents(tmp_path / "filled")


def test_same_as_without_a_cache_up_to_half_precision(
    squares: Squares, options: dict[str, Any], tmp_path: Path
) -> None:
    frames, labels, _ = squares
    with_cache = propagate_video(frames, labels, out=tmp_path / "with", **options)
    without = propagate_video(frames, labels, out=tmp_path / "without", **{**options, "features": None})
    for frame in range(11):
        same = read_index_png(with_cache.mask_file(frame)) == read_index_png(without.mask_file(frame))
        assert same.float().mean() > 0.999
    tables = [json.loads((tmp_path / name / "summary.json").read_text()) for name in ("with", "without")]
    assert tables[0]["encoder_digest"] == tables[1]["encoder_digest"]


def test_holds_the_features_in_half_precision(squares: Squares, counted: Counted, tmp_path: Path) -> None:
    cache = make_cache(tmp_path, counted[0])
    with open_video(squares[0]) as source:
        cache.fill(source)
        images = source.frames(range(11)).float() / 255
        stored = cache([features for _, features in cache.frames(source, start=0, stop=11)])
        assert torch.equal(stored, counted[0].features(images).half().float())


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "remove"])
def test_a_damaged_file_is_said_and_encoded_again(
    damage: str, squares: Squares, counted: Counted, tmp_path: Path
) -> None:
    cache = make_cache(tmp_path, counted[0])
    with open_video(squares[0]) as source:
        cache.fill(source)
        file = cache.file(6)
        before = file.read_bytes()
        if damage == "truncate":
            file.write_bytes(before[:-100])
        elif damage == "flip":
            file.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        elif damage == "empty":
            file.write_bytes(b"")
        else:
            file.unlink()
        with pytest.warns(CacheWarning, match=r"000006.safetensors: is .* encoded again"):
            got = dict(cache.frames(source, start=5, stop=8))
    assert list(got) == [5, 6, 7]
    assert file.read_bytes() == before


def test_goes_on_where_it_stopped(squares: Squares, counted: Counted, tmp_path: Path) -> None:
    cache = make_cache(tmp_path, counted[0])
    with open_video(squares[0]) as source:
        assert cache.fill(source, stop=3) == 3
        assert cache.file(3).is_file(), "whole batches are kept"
        (cache.folder / ".000004.safetensors.77.partial").write_bytes(b"half")
        counted[1].clear()
        assert cache.fill(source) == 7
        assert counted[1] == [4, 3]
        assert cache.fill(source) == 0
    assert sorted(path.name for path in cache.folder.iterdir()) == [f"{index:06}.safetensors" for index in range(11)]


def test_other_encoders_videos_and_sizes_lie_elsewhere(counted: Counted, tmp_path: Path) -> None:
    folders = {
        make_cache(tmp_path, counted[0]).folder,
        make_cache(tmp_path, counted[0], encoder_digest="f" * 16).folder,
        make_cache(tmp_path, counted[0], video_digest="w" * 16).folder,
        FeatureCache(
            tmp_path,
            FrameEncoder(counted[0], "patches", (24, 40)),
            encoder_digest="e" * 16,
            video_digest="v" * 16,
            batch_size=4,
        ).folder,
    }
    assert len(folders) == 4
