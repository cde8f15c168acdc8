"""Clips of several frames and their captions: trained, kept as a checkpoint, embedded, looked up."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from mmssl.config import build
from mmssl.data.dataset import ClipItem
from mmssl.errors import ConfigError
from mmssl.evaluation.image_text_probe import ImageTextProbe
from mmssl.functional.random import ItemRandom
from mmssl.models import ENCODER_CHOICE
from mmssl.models.image_text import ImageTextEncoder
from mmssl.models.loading import copy_weights, load_encoder, save_encoder
from mmssl.objectives import OBJECTIVE_CHOICE
from mmssl.objectives.clip import CLIP
from mmssl.objectives.objective import Batch, kept_name
from mmssl.retrieval.embeddings import embed_clips
from mmssl.training.loop import train
from mmssl.training.settings import TrainSettings
from mmssl.views.frames import FramesView
from tests.training.test_captions import Captioned

COLORS = torch.tensor([[250, 10, 10], [10, 250, 10], [10, 10, 250]], dtype=torch.uint8)
NAMES = ("red", "green", "blue")
TRANSFORMER = {"name": "transformer", "width": 32, "depth": 1, "num_heads": 2}
ORDERS = [(first, second) for first in range(3) for second in range(3) if first != second]
WHOLE = FramesView(size=8, num_frames=4, scale=(1.0, 1.0), ratio=(1.0, 1.0), flip_probability=0.0)


def spec(pool: Any = "mean") -> dict[str, Any]:
    return {
        "name": "image_text",
        "image": {"name": "vit", "patch": 8, "dim": 16, "depth": 1, "num_heads": 2},
        "text": {"name": "transformer", "dim": 16, "depth": 1, "num_heads": 2, "context": 8},
        "projection_dim": 16,
        "size": 8,
        "pool": pool,
    }


def make(pool: Any = "mean", **settings: Any) -> CLIP:
    torch.manual_seed(0)
    objective: CLIP = build({"name": "clip", **settings}, OBJECTIVE_CHOICE, encoder=build(spec(pool), ENCODER_CHOICE))
    return objective


class ColorChanges(Captioned):
    """Clips of four frames, two of one color and two of another; each pair of colors comes in both orders."""

    def __init__(self) -> None:
        super().__init__([f"{NAMES[first]} then {NAMES[second]}" for first, second in ORDERS])

    @property
    def items(self) -> list[ClipItem]:
        return [
            ClipItem(f"r{place}#0", f"r{place}", None, "train", f"r{place}", caption, (0.0, 1.0, 2.0, 3.0))
            for place, caption in enumerate(f"{NAMES[first]} then {NAMES[second]}" for first, second in ORDERS)
        ]

    def clips(self, indices: Any, *, epoch: int = 0) -> Tensor:
        shown = torch.stack([COLORS[[first, first, second, second]] for first, second in ORDERS])
        return shown[list(indices)][..., None, None].expand(-1, -1, -1, 8, 8).contiguous()


def batch_of(objective: CLIP) -> Batch:
    source = ColorChanges()
    tokens = objective.tokenize([item.captions[0] for item in source.items])
    frames = WHOLE(source.clips(range(6)), ItemRandom(0, 0, range(6)))
    return {**frames, "tokens": tokens, "caption": torch.arange(6)}


def trained(pool: Any) -> CLIP:
    objective = make(pool)
    optimizer = torch.optim.Adam(objective.parameters(), lr=3e-3)
    for _ in range(100):
        optimizer.zero_grad()
        objective(batch_of(objective))["loss"].backward()
        optimizer.step()
    return objective.eval()


@pytest.mark.parametrize(("pool", "loss"), [("mean", (0.6, 1.1)), (TRANSFORMER, (0.0, 0.2))])
def test_order_is_learned_where_the_pool_sees_it(pool: Any, loss: tuple[float, float], tmp_path: Path) -> None:
    """Without order each clip looks like the one of the reverse order: log(2)."""
    objective = trained(pool)
    found = objective(batch_of(objective))["loss"].item()
    assert loss[0] < found < loss[1]

    save_encoder(tmp_path / "pair", objective.encoder, spec=spec(pool), facts={})
    loaded = load_encoder(str(tmp_path / "pair"))
    assert isinstance(loaded.encoder, ImageTextEncoder)
    source = ColorChanges()
    frames = source.clips(range(6)).float() / 255
    with torch.inference_mode():
        wanted = objective.towers.embed_frames(frames)
        assert_close(loaded.encoder.embed_frames(frames), wanted, atol=1e-6, rtol=1e-5)
    for batch_size in (1, 64):
        table = embed_clips(loaded, source, batch_size=batch_size)
        np.testing.assert_allclose(table.embeddings, wanted.numpy(), atol=1e-5)
    ordered = pool != "mean"
    assert (ImageTextProbe(source).look(loaded.encoder)["text_to_image_recall_1"] == 1) is ordered


def test_frames_give_the_loss_of_their_clips_one_by_one() -> None:
    objective = make(TRANSFORMER).eval()
    batch = batch_of(objective)
    with torch.no_grad():
        objective.towers.get_parameter("pool.out.weight").normal_()
        each = [torch.stack([objective.towers(frame[None])[0] for frame in clip]) for clip in batch["frames"]]
        images = torch.cat([objective.towers.over_frames(clip[None]) for clip in each])
        texts = objective.towers.embed_tokens(batch["tokens"])
        scores = objective.towers.scale * (
            torch.nn.functional.normalize(images, dim=1) @ torch.nn.functional.normalize(texts, dim=1).T
        )
        wanted = -(scores.log_softmax(1).diag() + scores.log_softmax(0).diag()).mean() / 2
    assert_close(objective(batch)["loss"].detach(), wanted)


def test_micro_batches_and_kept_features_change_nothing() -> None:
    found = []
    for settings in ({}, {"micro_batch": 4}, {"lock": ["image"]}):
        objective = make(TRANSFORMER, **settings)
        with torch.no_grad():
            objective.towers.get_parameter("pool.out.weight").fill_(0.01)
        batch = batch_of(objective)
        if "lock" in settings:
            part = objective.frozen["frames"]
            batch[kept_name("frames")] = part.forward(batch.pop("frames"))
            assert part.module is objective.towers.get_submodule("image")
        objective(batch)["loss"].backward()
        found.append({name: value.grad for name, value in objective.named_parameters() if value.requires_grad})
    assert any(name.startswith("encoder.pool.blocks") for name in found[2])
    for gradients in found[1:]:
        for name, gradient in gradients.items():
            assert_close(gradient, found[0][name], atol=1e-5, rtol=1e-4, msg=name)


def test_a_training_keeps_what_a_locked_tower_makes_of_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = []
    for frozen_views in (0, 1):
        objective = make(TRANSFORMER, lock=["image"])
        settings = TrainSettings(batch_size=6, epochs=2, watch_every=0, frozen_views=frozen_views)
        out = tmp_path / str(frozen_views)
        train(objective, WHOLE, ColorChanges(), out=out, settings=settings, seed=0, encoder_spec=spec(TRANSFORMER))
        found.append(objective.state_dict())
    assert len(list((tmp_path / "cache").rglob("*.safetensors"))) == 1
    for name, value in found[0].items():
        assert_close(found[1][name], value, atol=1e-6, rtol=1e-5, msg=name)


def test_a_training_on_images_is_where_one_on_clips_starts(tmp_path: Path) -> None:
    images = make().eval()
    save_encoder(tmp_path / "images", images.encoder, spec=spec(), facts={})
    clips = make(TRANSFORMER).eval()
    with torch.no_grad():
        clips.towers.log_scale.fill_(0.0)
    copy_weights(str(tmp_path / "images"), clips.encoder, what="the encoder")
    with torch.inference_mode():
        batch = batch_of(images)
        assert_close(clips.towers.embed_frames(batch["frames"]), images.towers.embed_frames(batch["frames"]))
        assert clips.towers.scale == images.towers.scale
    save_encoder(tmp_path / "clips", clips.encoder, spec=spec(TRANSFORMER), facts={})
    with pytest.raises(ConfigError, match="another network"):
        copy_weights(str(tmp_path / "clips"), make().encoder, what="the encoder")
