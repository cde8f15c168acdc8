from pathlib import Path

import pytest
import torch
from PIL import Image

from mmssl.errors import CheckpointError, ConfigError
from mmssl.models.loading import LoadedEncoder, load_encoder, save_encoder
from mmssl.models.small_resnet import SmallResNet
from mmssl.training.adaptation import adapt_encoder
from mmssl.training.checkpoint import saved_states

SPEC = {"name": "small_resnet", "input": "lab", "width": 4, "num_blocks": [1, 1], "feature_dim": 8}


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Eight frames of colored blocks that move."""
    folder = tmp_path / "video"
    folder.mkdir()
    blocks = torch.randint(0, 256, (6, 8, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    picture = blocks.repeat_interleave(8, 0).repeat_interleave(8, 1)
    for number in range(8):
        Image.fromarray(picture.roll((number, 2 * number), (0, 1)).numpy()).save(folder / f"{number:05}.png")
    return folder


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    save_encoder(
        tmp_path / "encoder", SmallResNet(input="lab", width=4, num_blocks=(1, 1), feature_dim=8), spec=SPEC, facts={}
    )
    return tmp_path / "encoder"


def weights(loaded: LoadedEncoder) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in loaded.encoder.state_dict().items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


def test_the_encoder_changes_and_is_kept(video: Path, checkpoint: Path, tmp_path: Path) -> None:
    loaded, random = load_encoder(str(checkpoint)), torch.get_rng_state()
    before = weights(loaded)
    adapt_encoder(video, loaded, out=tmp_path / "out", num_steps=3)
    assert not same(before, weights(loaded))
    assert not any(module.training for module in loaded.encoder.modules())
    assert torch.equal(torch.get_rng_state(), random)
    kept = load_encoder(str(tmp_path / "out"))
    assert same(weights(kept), weights(loaded))
    assert kept.card.facts["adapted_from"] == loaded.digest


def test_goes_on_where_it_stopped(
    video: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, stopped = load_encoder(str(checkpoint)), load_encoder(str(checkpoint))
    adapt_encoder(video, whole, out=tmp_path / "whole", num_steps=3)

    steps = 0
    forward = SmallResNet.features

    def interrupted(encoder: SmallResNet, images: torch.Tensor) -> torch.Tensor:
        nonlocal steps
        steps += 1
        if steps == 3:
            raise KeyboardInterrupt
        return forward(encoder, images)

    monkeypatch.setattr("mmssl.training.adaptation.SECONDS_BETWEEN_STATES", 0.0)
    monkeypatch.setattr(SmallResNet, "features", interrupted)
    with pytest.raises(KeyboardInterrupt):
        adapt_encoder(video, stopped, out=tmp_path / "stopped", num_steps=3)
    assert saved_states(tmp_path / "stopped" / "state")
    monkeypatch.setattr(SmallResNet, "features", forward)
    resumed = load_encoder(str(checkpoint))
    adapt_encoder(video, resumed, out=tmp_path / "stopped", num_steps=3)
    assert same(weights(whole), weights(resumed))


def test_done_once_it_is_read(video: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, again = load_encoder(str(checkpoint)), load_encoder(str(checkpoint))
    adapt_encoder(video, first, out=tmp_path / "out", num_steps=2)
    monkeypatch.setattr(SmallResNet, "features", None)
    adapt_encoder(video, again, out=tmp_path / "out", num_steps=2)
    assert same(weights(first), weights(again))


def test_of_a_sum_the_parts_with_weights(video: Path, checkpoint: Path, tmp_path: Path) -> None:
    loaded = load_encoder(f"sum:0.6*{checkpoint}+0.4*lab")
    alone = load_encoder(str(checkpoint))
    adapt_encoder(video, loaded, out=tmp_path / "sum", num_steps=2)
    adapt_encoder(video, alone, out=tmp_path / "alone", num_steps=2)
    part = {name.removeprefix("encoders.0."): value for name, value in weights(loaded).items()}
    assert same(weights(alone), part)


def test_what_a_sum_shares_is_adapted_once(video: Path, checkpoint: Path, tmp_path: Path) -> None:
    shared = load_encoder(f"sum:0.6*{checkpoint}+0.4*half:{checkpoint}")
    alone = load_encoder(str(checkpoint))
    adapt_encoder(video, shared, out=tmp_path / "shared", num_steps=2)
    adapt_encoder(video, alone, out=tmp_path / "alone", num_steps=2)
    part = {name.removeprefix("encoders.0."): value for name, value in weights(shared).items() if "s.0." in name}
    assert same(weights(alone), part)


def test_an_encoder_without_weights_is_refused(video: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="lab: has no weights to adapt"):
        adapt_encoder(video, load_encoder("lab"), out=tmp_path / "out")


def test_a_folder_of_another_adaptation_is_refused(video: Path, checkpoint: Path, tmp_path: Path) -> None:
    adapt_encoder(video, load_encoder(str(checkpoint)), out=tmp_path / "out", num_steps=1)
    with pytest.raises(CheckpointError, match="other settings"):
        adapt_encoder(video, load_encoder(f"random:{checkpoint}"), out=tmp_path / "out", num_steps=1)
