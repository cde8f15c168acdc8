"""Objectives of pretext tasks."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

from mmssl.errors import ConfigError
from mmssl.functional.color import lab_to_rgb, rgb_to_lab
from mmssl.functional.color_bins import ab_bins, soft_bins
from mmssl.models.small_resnet import SmallResNet
from mmssl.models.split_brain import SplitBrain
from mmssl.objectives.colorization import Colorization
from mmssl.objectives.context_encoder import ContextEncoder, _holed, _middle
from mmssl.objectives.jigsaw import Jigsaw
from mmssl.objectives.relative_patch import RelativePatch
from mmssl.objectives.rotation import Rotation
from mmssl.objectives.split_brain import SplitBrainAutoencoder
from tests.objectives.pictures import taken_apart

IMAGES = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def encoder(**settings: object) -> SmallResNet:
    return SmallResNet(width=4, feature_dim=6, **settings)  # type: ignore[arg-type]


def split_brain() -> SplitBrain:
    return SplitBrain(half={"name": "small_resnet", "width": 4, "feature_dim": 6})


def test_rotation_classifies_each_of_four_turns() -> None:
    objective = Rotation(encoder()).eval()
    rotated = torch.rand(3, 4, 3, 16, 16)
    terms = [
        functional.cross_entropy(objective.classifier(objective.encoder(rotated[:, turn])), torch.full((3,), turn))
        for turn in range(4)
    ]
    assert_close(objective({"rotated": rotated})["loss"], torch.stack(terms).mean())


def test_patches_and_tiles_share_one_network_and_keep_their_order() -> None:
    for objective, key, answer, count in (
        (RelativePatch(encoder(), hidden_dim=8), "pair", "place", 2),
        (Jigsaw(encoder(), hidden_dim=8, num_permutations=20), "tiles", "permutation", 9),
    ):
        objective.eval()
        parts, answers = torch.rand(3, count, 3, 16, 16), torch.tensor([0, 7, 5])
        embeddings = torch.stack([objective.encoder(parts[:, part]) for part in range(count)], dim=1)
        wanted = functional.cross_entropy(objective.head(embeddings), answers)
        assert_close(objective({key: parts, answer: answers})["loss"], wanted)


def test_jigsaw_refuses_orders_it_does_not_know() -> None:
    objective = Jigsaw(encoder(), num_permutations=5)
    with pytest.raises(ConfigError, match="drew permutation 9, the objective knows 5"):
        objective({"tiles": torch.rand(1, 9, 3, 16, 16), "permutation": torch.tensor([9])})


def test_the_hole_hides_the_middle_but_for_a_border() -> None:
    holed, weight = _holed(IMAGES)
    assert _middle(IMAGES).shape == (4, 3, 16, 16)
    inside = torch.zeros(32, 32, dtype=torch.bool)
    inside[9:23, 9:23] = True
    assert torch.equal(holed[..., ~inside], IMAGES[..., ~inside])
    assert_close(holed[..., inside], IMAGES[..., ~inside].mean(2, keepdim=True).expand(4, 3, 14 * 14))
    middle = _middle(weight)
    assert middle[0, 0, 0, 0] == 10
    assert middle[0, 0, 8, 8] == 1


def test_the_encoder_does_not_see_what_the_hole_hides() -> None:
    objective = ContextEncoder(encoder(), critic_width=4).eval()
    changed = IMAGES.clone()
    changed[:, :, 9:23, 9:23] = changed[:, :, 9:23, 9:23].square()
    seen = [objective._painted(_holed(images)[0]) for images in (IMAGES, changed)]
    assert torch.equal(seen[0], seen[1])


def test_the_context_encoders_loss_is_made_of_its_parts() -> None:
    objective = ContextEncoder(encoder(), critic_width=4, adversarial_weight=0.25).eval()
    holed, weight = _holed(IMAGES)
    painted, real = _middle(objective._painted(holed)), _middle(IMAGES)
    reconstruction = (_middle(weight) * (painted - real).square()).mean()
    says = {
        name: torch.sigmoid(objective.critic(pictures)) for name, pictures in (("painted", painted), ("real", real))
    }
    adversarial = -says["painted"].log().mean()
    critic = -(says["real"].log() + (1 - says["painted"]).log()).mean() / 2
    output = objective({"image": IMAGES})
    assert_close(output["loss"], 0.75 * reconstruction + 0.25 * adversarial + critic)
    assert output["critic"].item() == pytest.approx(math.log(2), abs=0.1)


def test_painter_and_critic_get_gradients_from_their_own_losses_alone() -> None:
    objective = ContextEncoder(encoder(), critic_width=4, adversarial_weight=0.0)
    objective({"image": IMAGES})["loss"].backward()
    critic_alone = [parameter.grad.clone() for parameter in objective.critic.parameters()]
    painter_alone = [parameter.grad.clone() for parameter in objective.decoder.parameters()]
    objective.zero_grad()
    objective.adversarial_weight = 0.5
    objective({"image": IMAGES})["loss"].backward()
    for before, parameter in zip(critic_alone, objective.critic.parameters(), strict=True):
        assert_close(parameter.grad, before)
    assert any(
        not torch.allclose(parameter.grad, 0.5 * before, rtol=1e-3)
        for before, parameter in zip(painter_alone, objective.decoder.parameters(), strict=True)
    )


def test_colorization_is_a_weighted_cross_entropy_with_soft_bins() -> None:
    objective = Colorization(encoder(input="lightness"))
    objective.prepare({"image": IMAGES})
    objective.eval()
    assert objective.weights.std() > 0
    logits = objective.decoder(objective.encoder.features(IMAGES), size=(8, 8))
    ab = functional.avg_pool2d(rgb_to_lab(IMAGES)[:, 1:], 4)
    terms = []
    for item in range(4):
        for row in range(8):
            for column in range(8):
                target = soft_bins(ab[item, :, row, column][None], ab_bins())[0]
                surprise = -(target * logits[item, :, row, column].log_softmax(0)).sum()
                terms.append(objective.weights[target.argmax()] * surprise)
    assert_close(objective({"image": IMAGES})["loss"], torch.stack(terms).mean())


def test_colors_are_refused_and_do_not_leak() -> None:
    with pytest.raises(ConfigError, match="input: lightness"):
        Colorization(encoder())
    with pytest.raises(ConfigError, match="name: split_brain"):
        SplitBrainAutoencoder(encoder())


def test_either_half_sees_what_the_other_must_predict_and_nothing_more() -> None:
    both = split_brain().eval()
    lab = torch.cat((torch.rand(2, 1, 16, 16) * 20 + 50, torch.rand(2, 2, 16, 16) * 20), dim=1)
    tinted = lab + torch.tensor([0.0, 12.0, -8.0])[:, None, None]
    brighter = lab + torch.tensor([10.0, 0.0, 0.0])[:, None, None]
    plain, tinted, brighter = (lab_to_rgb(image) for image in (lab, tinted, brighter))
    assert_close(both.lightness(plain), both.lightness(tinted), atol=1e-3, rtol=1e-3)
    assert_close(both.colors(plain), both.colors(brighter), atol=1e-3, rtol=1e-3)
    assert not torch.allclose(both.colors(plain), both.colors(tinted), atol=1e-2)
    assert both(plain).shape == (2, both.dim) == (2, 12)


def test_split_brains_pictures_have_the_predicted_half() -> None:
    """Whose heads are sure: the color of one bin, and a lightness in the middle of one of ten levels."""
    objective = SplitBrainAutoencoder(split_brain(), lightness_levels=10)
    nearest_grey = int(ab_bins().norm(dim=1).argmin())
    for head, sure in ((objective.to_colors, nearest_grey), (objective.to_lightness, 6)):
        nn.init.zeros_(head.weight)
        head.bias.data = 1000.0 * functional.one_hot(torch.tensor(sure), len(head.bias)).float()
    (grid,) = objective.pictures({"image": IMAGES}).values()
    colored, lit, truth = taken_apart(grid, rows=3, side=32)
    assert_close(truth, IMAGES)
    assert rgb_to_lab(colored)[:, 1:].abs().max() < 1
    assert_close(rgb_to_lab(colored)[:, 0], rgb_to_lab(IMAGES)[:, 0], atol=0.5, rtol=0)
    assert_close(rgb_to_lab(lit)[:, 0].median(), torch.tensor(65.0), atol=0.5, rtol=0)


def test_split_brain_adds_two_classifications() -> None:
    objective = SplitBrainAutoencoder(split_brain(), lightness_levels=10).eval()
    lab = functional.avg_pool2d(rgb_to_lab(IMAGES), 8)
    colors = objective.to_colors(objective.encoder.lightness.features(IMAGES))
    lightness = objective.to_lightness(objective.encoder.colors.features(IMAGES))
    nearest = torch.cdist(lab[:, 1:].movedim(1, -1), ab_bins()[None, None]).argmin(-1)
    level = (lab[:, 0] / 10).floor().long()
    wanted = functional.cross_entropy(colors, nearest) + functional.cross_entropy(lightness, level)
    assert_close(objective({"image": IMAGES})["loss"], wanted)
