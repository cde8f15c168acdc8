import pytest
import timm
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

from mmssl.config import build
from mmssl.errors import ConfigError
from mmssl.functional.color import lab_to_rgb
from mmssl.models import ENCODER_CHOICE, ENCODERS
from mmssl.models.encoder import Encoder
from mmssl.models.half_size import HalfSize
from mmssl.models.image_input import ImageInput
from mmssl.models.resnet import ResNet18
from mmssl.models.timm_encoder import TimmEncoder
from mmssl.models.weighted_sum import WeightedSum
from tests.models.test_audio_encoders import SPECS as SOUND_SPECS

SMALL_CLIP = {
    "embed_dim": 8,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8},
    "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 8, "heads": 1, "layers": 1},
}
SPECS = [
    {"name": "audio_visual", "image": {"name": "small_resnet", "width": 8}, "hidden_dim": 8, "projection_dim": 4},
    {"name": "lab"},
    {"name": "lab", "stride": 16},
    {
        "name": "image_text",
        "image": {"name": "small_resnet", "width": 8},
        "text": {"name": "transformer", "dim": 8, "depth": 1, "num_heads": 1},
        "projection_dim": 4,
    },
    {"name": "open_clip", "config": SMALL_CLIP},
    {"name": "patch_grid", "patch": {"name": "small_resnet", "width": 8, "norm": "group"}, "patch_size": 16},
    {"name": "pixels"},
    {"name": "resnet18"},
    {"name": "resnet18", "stride": 16, "input": "lightness"},
    {"name": "resnet18", "stride": 32, "input": "lab"},
    {"name": "resnet18", "stride": 4, "input": "lab"},
    {"name": "resnet18", "stride": 4, "small_images": True},
    {"name": "small_resnet", "width": 8},
    {"name": "small_resnet", "width": 8, "stride": 4, "input": "lightness", "feature_dim": 16},
    {"name": "timm", "model": "resnet10t"},
    {"name": "timm", "model": "resnet10t", "stride": 8},
    {"name": "timm", "model": "resnet10t", "output_stride": 8},
    {"name": "timm", "model": "tf_efficientnet_lite0", "stride": 16},
    {"name": "timm", "model": "test_efficientnet", "pool_strides": [32, 16]},
    {"name": "timm", "model": "vit_tiny_patch16_224"},
    {"name": "split_brain", "half": {"name": "small_resnet", "width": 8}},
    {"name": "vit", "patch": 8, "dim": 16, "depth": 2, "num_heads": 2},
]


def label(spec: dict) -> str:
    return " ".join(map(str, spec.values()))


def test_every_encoder_is_tested() -> None:
    assert {spec["name"] for spec in (*SPECS, *SOUND_SPECS)} == set(ENCODERS)


@pytest.mark.parametrize("spec", SPECS, ids=label)
def test_shapes_for_any_size(spec: dict) -> None:
    encoder = build(spec, ENCODER_CHOICE).eval()
    assert encoder.input in ("rgb", "lab", "lightness")
    with torch.inference_mode():
        for height, width in ((64, 64), (61, 35)):
            images = torch.rand(2, 3, height, width)
            features = encoder.features(images)
            assert features.shape[:2] == (2, encoder.feature_dim)
            assert features.shape[2:] == (-(-height // encoder.stride), -(-width // encoder.stride))
            assert encoder(images).shape == (2, encoder.dim)


@pytest.mark.parametrize("spec", SPECS, ids=label)
def test_an_image_gives_the_same_alone_and_in_channels_last(spec: dict) -> None:
    encoder = build(spec, ENCODER_CHOICE).eval()
    images = torch.rand(3, 3, 40, 48)
    with torch.inference_mode():
        together = encoder.features(images)
        assert_close(encoder.features(images[1:2])[0], together[1], atol=1e-4, rtol=1e-3)
        assert_close(
            encoder.features(images.contiguous(memory_format=torch.channels_last)), together, atol=1e-4, rtol=1e-3
        )


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "lab"},
        {"name": "pixels"},
        {"name": "resnet18"},
        {"name": "resnet18", "stride": 16},
        {"name": "resnet18", "stride": 4},
        {"name": "resnet18", "stride": 4, "small_images": True},
        {"name": "small_resnet"},
        {"name": "small_resnet", "stride": 4},
    ],
    ids=label,
)
def test_cells_are_centred_on_their_pixels(spec: dict) -> None:
    """With filters that do not prefer a direction, what moves a cell has its centre of mass where the cell has its own."""
    encoder = build(spec, ENCODER_CHOICE).eval()
    side = 96 if encoder.stride < 16 else 224
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
    if isinstance(encoder, ResNet18) and isinstance(encoder.stem[-1], nn.MaxPool2d):
        encoder.stem[-1] = nn.AvgPool2d(3, stride=2, padding=1)
    images = torch.tensor([0.6, 0.5, 0.4])[:, None, None].expand(1, 3, side, side).clone().requires_grad_()
    features = encoder.features(images)
    cell = features.shape[-1] // 2
    features[0, :, cell, cell].sum().backward()
    assert images.grad is not None
    weight = images.grad[0].abs().sum(0)
    weight = weight / weight.sum()
    positions = torch.arange(side) + 0.5
    center = torch.stack(((weight.sum(1) * positions).sum(), (weight.sum(0) * positions).sum()))
    assert_close(center, torch.full((2,), (cell + 0.5) * encoder.stride), atol=0.75, rtol=0)


def test_sizes() -> None:
    def count(encoder: Encoder) -> int:
        return sum(parameter.numel() for parameter in encoder.parameters())

    assert 0.9e6 < count(ENCODERS["small_resnet"]()) < 1.1e6
    assert count(ENCODERS["resnet18"]()) == 11_176_512, "torchvision's, less its classifier"
    assert count(ENCODERS["lab"]()) == count(ENCODERS["pixels"]()) == 0


def test_resnet18_takes_the_same_weights_at_every_stride() -> None:
    wide, usual = ENCODERS["resnet18"](stride=8), ENCODERS["resnet18"](stride=32)
    wide.load_state_dict(usual.state_dict())
    assert wide.features(torch.rand(1, 3, 64, 64)).shape[-1] == 8
    assert usual.features(torch.rand(1, 3, 64, 64)).shape[-1] == 2


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "resnet18", "stride": 2},
        {"name": "resnet18", "stride": 32, "small_images": True},
        {"name": "lab", "stride": 6},
        {"name": "timm", "model": "resnet10t", "stride": 7},
        {"name": "timm", "model": "no_such_model"},
        {"name": "timm", "model": "resnet10t", "output_stride": 5},
        {"name": "timm", "model": "vit_tiny_patch16_224", "output_stride": 8},
        {"name": "small_resnet", "stride": 16},
    ],
    ids=label,
)
def test_impossible_settings_are_refused(spec: dict) -> None:
    with pytest.raises(ConfigError):
        build(spec, ENCODER_CHOICE)


def test_timm_takes_the_same_weights_at_every_output_stride() -> None:
    usual, wide = (ENCODERS["timm"](model="resnet10t", output_stride=stride).eval() for stride in (32, 8))
    assert (usual.stride, wide.stride) == (32, 8)
    wide.load_state_dict(usual.state_dict())
    images = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        assert usual.features(images).shape[-2:] == (2, 3)
        assert wide.features(images).shape[-2:] == (8, 12)


def test_timm_joins_means_of_further_maps_to_its_embedding() -> None:
    usual, more = (ENCODERS["timm"](model="test_efficientnet", pool_strides=strides).eval() for strides in (None, [8]))
    more.load_state_dict(usual.state_dict())
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        embeddings = more(images)
        assert_close(embeddings[:, : usual.dim], usual(images))
        maps = build({"name": "timm", "model": "test_efficientnet", "stride": 8}, ENCODER_CHOICE).eval()
        maps.load_state_dict(usual.state_dict())
        assert_close(embeddings[:, usual.dim :], maps.features(images).mean((2, 3)))
    assert more.dim == embeddings.shape[1]
    assert repr(usual) != repr(more), "kept features are told apart by it"


@pytest.mark.parametrize("pool_strides", [None, [32, 8]], ids=str)
@pytest.mark.parametrize("model", ["test_efficientnet", "test_resnet"])
def test_stages_of_timm_one_after_another_are_the_model(model: str, pool_strides: list[int] | None) -> None:
    encoder = TimmEncoder(model=model, pool_strides=pool_strides).eval()
    images = torch.rand(2, 3, 61, 48)
    with torch.inference_mode():
        whole = encoder(images)
        for count in range(1, len(encoder.stages())):
            assert_close(encoder.upper(encoder.lower(images, stages=count), stages=count), whole)
    covered = {id(each) for stage in encoder.stages() for each in stage.parameters()}
    assert covered == {id(each) for each in encoder.parameters()}


def test_models_that_are_no_run_of_stages_say_so() -> None:
    with pytest.raises(ConfigError, match="run of stages"):
        TimmEncoder(model="test_vit").stages()
    with pytest.raises(ConfigError, match="stride 2 lies within the stem"):
        TimmEncoder(model="test_resnet", pool_strides=[2, 16]).stages()


def test_vit_interpolates_its_positions_only_where_it_must() -> None:
    flexible = ENCODERS["timm"](model="vit_tiny_patch16_224").eval()
    assert isinstance(flexible, TimmEncoder)
    plain = timm.create_model("vit_tiny_patch16_224", num_classes=0).eval()
    plain.load_state_dict(flexible.model.state_dict())
    images = torch.rand(1, 3, 224, 224)
    with torch.inference_mode():
        tokens = plain.forward_features((images - flexible.mean) / flexible.std)[:, 1:]
        assert_close(flexible.features(images), tokens.transpose(1, 2).unflatten(2, (14, 14)), atol=1e-4, rtol=1e-3)


def test_weighted_sum_adds_similarities_up() -> None:
    parts = [ENCODERS["lab"](stride=8), ENCODERS["pixels"]()]
    both = WeightedSum(parts, [3.0, 1.0])
    images = torch.rand(2, 3, 40, 48)
    similarities = [functional.cosine_similarity(*part.features(images)[:, None], dim=1) for part in (*parts, both)]
    assert_close(similarities[2], 0.75 * similarities[0] + 0.25 * similarities[1])
    assert both.features(images).shape == (2, both.feature_dim, 5, 6)
    assert both(images).shape == (2, both.dim)


def test_weighted_sum_brings_maps_to_the_cells_of_the_first() -> None:
    both = WeightedSum([ENCODERS["lab"](stride=8), ENCODERS["lab"](stride=16)], [0.5, 0.5])
    assert both.stride == 8
    assert both.features(torch.rand(1, 3, 41, 64)).shape == (1, 2 * 96, 6, 8)
    with pytest.raises(ValueError, match="weights above 0"):
        WeightedSum([ENCODERS["lab"]()], [0.0])


@pytest.mark.parametrize(("height", "width"), [(48, 64), (41, 35)])
def test_half_size_looks_from_twice_as_far_at_the_same_cells(height: int, width: int) -> None:
    near = ENCODERS["lab"](stride=8)
    far = HalfSize(near)
    images = torch.rand(2, 3, height, width)
    features = far.features(images)
    assert features.shape == near.features(images).shape
    assert far(images).shape == near(images).shape
    coarse = near.features(functional.avg_pool2d(images, 2))
    assert_close(features[:, :, 0, 0], coarse[:, :, 0, 0])
    assert_close(features[:, :, 0, 1:3].mean(2), coarse[:, :, 0, :2].mean(2))


def test_lightness_is_blind_to_color() -> None:
    lightness = ImageInput("lightness")
    lab = torch.tensor([[55.0, 0.0, 0.0], [55.0, 20.0, 10.0], [55.0, -15.0, 20.0]])[:, :, None, None]
    seen = lightness(lab_to_rgb(lab))
    assert seen.shape == (3, 1, 1, 1)
    assert_close(seen, torch.full((3, 1, 1, 1), 0.2), atol=1e-4, rtol=0)


def test_lab_similarity_falls_with_color_distance() -> None:
    steps = torch.linspace(0, 40, 9)
    for direction in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)):
        lab = torch.tensor([50.0, -20.0, -20.0]) + steps[:, None] * torch.tensor(direction)
        images = lab_to_rgb(lab[:, :, None, None]).expand(-1, 3, 8, 8)
        features = ENCODERS["lab"]().features(images)[:, :, 0, 0]
        similarity = torch.cosine_similarity(features[:1], features)
        assert similarity[0] > 0.9999
        assert (similarity.diff() < 0).all()


def test_pixels_know_correlation() -> None:
    encoder = ENCODERS["pixels"]()
    image = torch.rand(1, 3, 40, 40) * 0.5
    a, brighter, inverted = encoder(image)[0], encoder(image + 0.3)[0], encoder(1 - image)[0]
    assert_close(torch.cosine_similarity(a, brighter, dim=0), torch.tensor(1.0))
    assert_close(torch.cosine_similarity(a, inverted, dim=0), torch.tensor(-1.0))
