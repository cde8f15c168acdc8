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
def test_an_encoder_that_sees_the_colors_is_refused(colors: str) -> None:
    objective = VideoColorization(SmallResNet(input=colors, width=4))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="input: lightness"):
        objective.prepare({"frames": frames_of_colors()})


def test_settings_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ConfigError, match="patch is 2"):
        VideoColorization(Places(1.0), patch=2)
    with pytest.raises(ConfigError, match="copy_from"):
        VideoColorization(Places(1.0), cycle_weight=0.1)
    with pytest.raises(ConfigError, match="channel_dropout"):
        VideoColorization(Places(1.0), targets="hidden").prepare({"frames": frames_of_colors()})


def batch_of_views(num_frames: int = 4) -> dict[str, torch.Tensor]:
    """What the view `frames` gives for three clips; of each, other channels are hidden."""
    torch.manual_seed(3)
    frames = torch.rand(3, num_frames, 3, 3, 3).repeat_interleave(8, -1).repeat_interleave(8, -2)
    visible = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
    return {"frames": frames, "visible": visible, "chance": torch.rand(3, num_frames)}


def huber(error: float, delta: float) -> float:
    return error**2 / (2 * delta) if abs(error) < delta else abs(error) - delta / 2


@pytest.mark.parametrize(("targets", "patch"), [("lab", 1), ("lab", 4), ("hidden", 1)])
def test_regression_matches_loops(targets: str, patch: int) -> None:
    batch = batch_of_views(num_frames=2)
    objective = VideoColorization(Places(100.0), targets=targets, patch=patch, huber_delta=5.0)  # type: ignore[arg-type]
    objective.prepare(batch)
    lab = rgb_to_lab(batch["frames"])[..., ::8, ::8]
    total = 0.0
    for item in range(3):
        counted = [c for c in range(3) if targets == "lab" or not batch["visible"][item, c]]
        errors = [
            huber((lab[item, 0, c, y, x] - lab[item, 1, c, y, x]).item(), 5.0)
            for c in counted
            for y in range(3)
            for x in range(3)
        ]
        total += sum(errors) / len(errors) if errors else 0.0
    assert objective(batch)["loss"].item() == pytest.approx(total / 3, rel=1e-4)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_colors_go_from_frame_to_frame(share: float) -> None:
    """Copies in place: with true colors each step starts anew, without them the first frame's are handed on."""
    batch = batch_of_views()
    objective = VideoColorization(
        Places(100.0), targets="lab", copy_from="previous", true_color_share=(0.5, share), cycle_weight=0.0
    )
    objective.prepare(batch)
    objective.after_step({}, progress=1.0)
    lab = rgb_to_lab(batch["frames"])[..., ::8, ::8]
    steps = [
        torch.nn.functional.smooth_l1_loss(lab[:, 0 if share == 0 else step - 1], lab[:, step], beta=5.0)
        for step in (1, 2, 3)
    ]
    assert_close(objective(batch)["loss"], torch.stack(steps).mean(), rtol=1e-4, atol=1e-4)


def test_the_way_back_ends_where_it_began() -> None:
    batch = batch_of_views()
    settings = {"targets": "lab", "copy_from": "previous", "true_color_share": (0.0, 0.0)}
    there = VideoColorization(Places(100.0), **settings)  # type: ignore[arg-type]
    back = VideoColorization(Places(100.0), cycle_weight=3.0, **settings)  # type: ignore[arg-type]
    for objective in (there, back):
        objective.prepare(batch)
    lab = rgb_to_lab(batch["frames"])[..., ::8, ::8]
    losses = [torch.nn.functional.smooth_l1_loss(lab[:, 0], lab[:, step], beta=5.0) for step in (2, 1, 0)]
    extra = back(batch)["loss"] - there(batch)["loss"]
    assert_close(extra, 3 * torch.stack(losses).mean(), rtol=1e-3, atol=1e-3)


def test_share_of_true_colors_goes_on_with_the_training() -> None:
    objective = VideoColorization(Places(1.0), copy_from="previous")
    objective.after_step({}, progress=0.25)
    assert objective.state_dict()["progress"] == 0.25


def test_a_window_keeps_cells_from_looking_far() -> None:
    batch = batch_of_views(num_frames=2)
    objective = VideoColorization(Places(0.0), targets="lab", radius=0)
    objective.prepare(batch)
    output = objective(batch)
    assert_close(output["error"], output["error_in_place"])


@pytest.mark.parametrize("input_colors", ["lab", "rgb"])
def test_hidden_channels_do_not_reach_the_encoder(input_colors: str) -> None:
    lab = torch.cat((torch.full((2, 2, 1, 16, 16), 60.0), torch.full((2, 2, 2, 16, 16), 5.0)), dim=2)
    tinted = lab + torch.tensor([0.0, 12.0, 0.0])[:, None, None]
    objective = VideoColorization(SmallResNet(input=input_colors, width=4)).eval()  # type: ignore[arg-type]
    visible = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 1.0]])
    plain, other = (
        objective.features({"frames": lab_to_rgb(image), "visible": visible}, image) for image in (lab, tinted)
    )
    assert_close(plain, other, atol=1e-3, rtol=1e-3)


def test_what_is_seen_takes_the_place_of_the_frames_for_the_encoder_alone() -> None:
    batch = batch_of_views(num_frames=2)
    objective = VideoColorization(SmallResNet(input="rgb", width=4), targets="lab").eval()
    del batch["visible"]
    lab = rgb_to_lab(batch["frames"])
    seen = batch["frames"].flip(1)
    assert_close(
        objective.features({**batch, "seen": seen}, lab),
        objective.features({**batch, "seen": batch["frames"]}, lab).flip(1),
    )


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
    first, second = (objective.features({"frames": lab_to_rgb(image)}, image) for image in (lab, tinted))
    assert_close(first, second, atol=1e-3, rtol=1e-3)


def test_normalize_makes_features_of_length_one() -> None:
    objective = VideoColorization(SmallResNet(input="lightness", width=4))
    frames = torch.rand(2, 4, 3, 16, 16)
    lengths = objective.features({"frames": frames}, rgb_to_lab(frames)).norm(dim=2)
    assert_close(lengths, torch.ones_like(lengths))
