"""Objectives that paint pixels again."""

import pytest
import torch
from torch.testing import assert_close

from mmssl.errors import ConfigError
from mmssl.functional.random import ItemRandom
from mmssl.models.pixel_decoder import PixelDecoder
from mmssl.models.small_resnet import SmallResNet
from mmssl.models.vit import VisionTransformer
from mmssl.objectives.denoising_autoencoder import DenoisingAutoencoder
from mmssl.objectives.mae import MAE
from mmssl.views.corrupted import CorruptedView
from mmssl.views.mae import MAEView
from tests.objectives.pictures import taken_apart

CLIPS = torch.randint(0, 256, (3, 1, 3, 40, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
RANDOM = ItemRandom(0, 0, range(3))


def mae(**settings: object) -> MAE:
    torch.manual_seed(0)
    encoder = VisionTransformer(patch=8, dim=16, depth=2, num_heads=2)
    chosen = {"decoder_dim": 8, "decoder_depth": 1, "decoder_heads": 2} | settings
    return MAE(encoder, **chosen)  # type: ignore[arg-type]


def test_the_transformer_does_not_see_hidden_patches() -> None:
    encoder, images = mae().encoder, torch.rand(2, 3, 32, 32)
    kept = torch.tensor([[3, 7, 1], [0, 15, 4]])
    seen = encoder.tokens(images, kept)
    assert seen.shape == (2, 4, 16)
    changed = images.clone()
    changed[0, :, 8:16, 8:16] = 0
    assert torch.equal(encoder.tokens(changed, kept), seen), "patch 5 is hidden"
    assert not torch.equal(encoder.tokens(changed), encoder.tokens(images))
    everything = torch.arange(16).expand(2, 16)
    assert_close(encoder.tokens(images, everything), encoder.tokens(images))


@pytest.mark.parametrize("normalize", [True, False])
def test_mae_scores_hidden_patches_alone_against_pixels_of_their_own_scale(normalize: bool) -> None:
    objective = mae(normalize_patches=normalize).eval()
    batch = MAEView(size=32, patch=8)(CLIPS, RANDOM)
    painted = objective._painted(batch["image"], batch["mask"])
    seen = objective.encoder.image_input(batch["image"])
    terms = []
    for item, number in batch["mask"].flatten(1).nonzero().tolist():
        row, column = divmod(number, 4)
        target = seen[item, :, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8].flatten()
        if normalize:
            target = (target - target.mean()) / (target.var() + 1e-6).sqrt()
        terms.append((painted[item, number] - target).square().mean())
    assert len(terms) == 3 * 12
    assert_close(objective(batch)["loss"], torch.stack(terms).mean())


def test_maes_pictures_show_visible_patches_as_they_are() -> None:
    batch = MAEView(size=32, patch=8)(CLIPS, RANDOM)
    (grid,) = mae().pictures(batch).values()
    seen, painted, truth = taken_apart(grid, rows=3, side=32)
    visible = ~batch["mask"].repeat_interleave(8, 1).repeat_interleave(8, 2)[:, None].expand(-1, 3, -1, -1)
    assert_close(truth, batch["image"])
    for picture in (seen, painted):
        assert_close(picture[visible], truth[visible], atol=1e-5, rtol=0)
        assert not torch.allclose(picture[~visible], truth[~visible], atol=0.05)


def test_mae_refuses_what_does_not_fit() -> None:
    with pytest.raises(ConfigError, match="name: vit"):
        MAE(SmallResNet(width=4))
    with pytest.raises(ConfigError, match=r"grid of \(8, 8\), the encoder has \(4, 4\)"):
        mae()(MAEView(size=32, patch=4)(CLIPS, RANDOM))
    for settings, message in (({"size": 30}, "multiple of patch"), ({"mask_ratio": 1.0}, "0 of 196"),
                              ({"mask_ratio": 0.0}, "196 of 196")):  # fmt: skip
        with pytest.raises(ConfigError, match=message):
            MAEView(**settings)


def test_each_image_hides_as_many_patches_at_places_of_its_own() -> None:
    clips = CLIPS[:1].expand(200, -1, -1, -1, -1)
    mask = MAEView(size=32, patch=8)(clips, ItemRandom(0, 0, range(200)))["mask"]
    assert (mask.flatten(1).sum(1) == 12).all()
    assert (mask.float().mean(0) - 0.75).abs().max() < 0.15


def test_the_denoising_autoencoder_is_scored_against_the_clean_image() -> None:
    objective = DenoisingAutoencoder(SmallResNet(width=4, feature_dim=6)).eval()
    batch = CorruptedView(size=32)(CLIPS, RANDOM)
    restored = objective.decoder(objective.encoder.features(batch["corrupted"]), size=(32, 32))
    assert_close(objective(batch)["loss"], (restored - batch["image"]).square().mean())


def test_corruption_is_as_strong_as_asked() -> None:
    clips = torch.full((20, 1, 3, 40, 40), 128, dtype=torch.uint8)
    batch = CorruptedView(size=32, masked_share=0.3, noise_std=0.05)(clips, ItemRandom(0, 0, range(20)))
    black = (batch["corrupted"] == 0).all(1)
    assert abs(black.float().mean().item() - 0.3) < 0.02
    noise = (batch["corrupted"] - batch["image"])[~black[:, None].expand(-1, 3, -1, -1)]
    assert abs(noise.std().item() - 0.05) < 0.002
    clean = CorruptedView(size=32, masked_share=0.0, noise_std=0.0)(clips, ItemRandom(0, 0, range(20)))
    assert torch.equal(clean["image"], clean["corrupted"])


@pytest.mark.parametrize("factor", [1, 4, 7, 8])
def test_the_decoder_gives_the_size_asked_for(factor: int) -> None:
    decoder = PixelDecoder(40, 5, factor=factor, width=8)
    assert decoder(torch.rand(2, 40, 4, 3), size=(30, 23)).shape == (2, 5, 30, 23)
