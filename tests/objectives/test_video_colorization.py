import math

import pytest
import torch
from torch.testing import assert_close

from mmssl.errors import ConfigError
from mmssl.functional.color import lab_to_rgb, rgb_to_lab
from mmssl.models.encoder import Encoder
from mmssl.models.small_resnet import SmallResNet
from mmssl.objectives.video_colorization import VideoColorization


class Places(Encoder):
    """Knows where a cell is and nothing else: finds the same place in other frames."""

    def __init__(self, strength: float) -> None:
        super().__init__()
        self.input, self.stride, self.dim, self.feature_dim = "lightness", 8, 9, 9
        self.strength = torch.nn.Parameter(torch.tensor(strength))

    def features(self, images: torch.Tensor) -> torch.Tensor:
        one_hot = torch.eye(9).reshape(9, 3, 3) * self.strength
        return one_hot.expand(len(images), 9, 3, 3)


def frames_of_colors(num_clips: int = 2) -> torch.Tensor:
    lab = torch.cat((torch.full((num_clips, 1, 3, 3), 60.0), 25 * torch.randn(num_clips, 2, 3, 3).clamp(-1, 1)), dim=1)
    return lab_to_rgb(lab).repeat_interleave(8, -1).repeat_interleave(8, -2)[:, None].expand(-1, 4, -1, -1, -1)


@pytest.mark.parametrize("colors", ["rgb", "lab"])
def test_an_encoder_that_sees_colors_is_refused(colors: str) -> None:
    with pytest.raises(ConfigError, match="input: lightness"):
        VideoColorization(SmallResNet(input=colors, width=4))  # type: ignore[arg-type]


def test_must_be_prepared() -> None:
    objective = VideoColorization(Places(1.0))
    with pytest.raises(RuntimeError, match="prepare"):
        objective({"frames": frames_of_colors()})


def test_copies_exactly_where_features_tell_places_apart() -> None:
    batch = {"frames": frames_of_colors()}
    objective = VideoColorization(Places(10.0), temperature=1.0, normalize=False)
    objective.prepare(batch)
    output = objective(batch)
    assert output["loss"] < 1e-3
    assert output["accuracy"] == output["accuracy_in_place"] == 1
    pictures = objective.pictures(batch)["grey, copied colors, true colors"]
    grey, copied, true = pictures.unflatten(2, (3, 24)).unbind(2)
    assert_close(rgb_to_lab(grey)[1:], torch.zeros(2, 48, 24), atol=0.05, rtol=0)
    assert_close(copied[:, 4::8, 4::8], true[:, 4::8, 4::8], atol=0.25, rtol=0)


def test_loss_without_features_is_the_surprise_of_the_colors() -> None:
    batch = {"frames": frames_of_colors(1)}
    objective = VideoColorization(Places(0.0), num_colors=4, temperature=1.0, normalize=False)
    objective.prepare(batch)
    ab = rgb_to_lab(batch["frames"])[0, 0, 1:, ::8, ::8].flatten(1).T
    shares = torch.bincount(torch.cdist(ab, objective.centers).argmin(1), minlength=4) / 9
    entropy = -sum(share * math.log(share) for share in shares.tolist() if share)
    assert objective(batch)["loss"].item() == pytest.approx(entropy, abs=1e-4)


def test_colors_do_not_leak_into_the_encoder() -> None:
    lab = torch.cat((torch.rand(1, 4, 1, 16, 16) * 20 + 50, torch.zeros(1, 4, 2, 16, 16)), dim=2)
    tinted = lab + torch.tensor([0.0, 15.0, -10.0])[:, None, None]
    objective = VideoColorization(SmallResNet(input="lightness", width=4)).eval()
    first, second = (objective._features(lab_to_rgb(image)) for image in (lab, tinted))
    assert_close(first, second, atol=1e-3, rtol=1e-3)


def test_normalize_makes_features_of_length_one() -> None:
    objective = VideoColorization(SmallResNet(input="lightness", width=4))
    lengths = objective._features(torch.rand(2, 4, 3, 16, 16)).norm(dim=2)
    assert_close(lengths, torch.ones_like(lengths))
