"""Encoders of sound: a code each 10 ms at every rate, silence at the end left out, contexts that never look ahead."""

import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from mmssl.config import build
from mmssl.errors import ConfigError
from mmssl.functional.sound_effects import sound_lengths
from mmssl.models import ENCODER_CHOICE
from mmssl.models.audio_encoder import AudioEncoder
from mmssl.models.cpc_encoder import CPCEncoder, TimeConvolution
from mmssl.models.loading import load_encoder

SMALL = {"code_dim": 8, "context_dim": 6}
SPECS = [
    {"name": "cpc_encoder", **SMALL},
    {"name": "cpc_encoder", "sample_rate": 8000, "context": "lstm", "num_layers": 2, **SMALL},
    {"name": "cpc_encoder", "sample_rate": 48000, "embed": "codes", "pool": "mean", **SMALL},
    {"name": "cpc_encoder", "sample_rate": 22050, "front": "log_mel", **SMALL},
    {"name": "cpc_encoder", "sample_rate": 8000, "front": "log_mel", "embed": "all", **SMALL},
    {"name": "cpc_encoder", "context": "transformer", "num_layers": 2, "code_dim": 8, "context_dim": 8},
    {"name": "mel_resnet", "width": 4},
    {"name": "mfcc"},
    {"name": "mfcc", "sample_rate": 8000, "num_coefficients": 13, "pool": "mean"},
    {"name": "log_mel", "sample_rate": 22050},
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: " ".join(map(str, spec.values())))
def test_a_cell_each_10_ms_and_silence_at_the_end_left_out(spec: dict[str, object]) -> None:
    encoder = build(spec, ENCODER_CHOICE).eval()
    assert isinstance(encoder, AudioEncoder)
    assert encoder.stride == encoder.sample_rate // 100 * (8 if spec["name"] == "mel_resnet" else 1)
    sound = 0.1 * torch.randn(3, 1, 30 * encoder.stride + 7)
    with torch.inference_mode():
        assert encoder.features(sound).shape == (3, encoder.feature_dim, 31)
        sound[:, :, 20 * encoder.stride :] = 0
        heard = encoder(sound)
        assert heard.shape == (3, encoder.dim)
        assert_close(encoder(sound[:, :, : 25 * encoder.stride]), heard, atol=1e-4, rtol=1e-4)
        assert bool(torch.isfinite(encoder(torch.zeros_like(sound))).all())


@pytest.mark.parametrize("setting", [{}, {"front": "log_mel"}, {"context": "transformer", "context_dim": 8}], ids=str)
def test_contexts_have_not_heard_what_is_later(setting: dict[str, object]) -> None:
    torch.manual_seed(0)
    encoder = build({"name": "cpc_encoder", "sample_rate": 8000, **SMALL, **setting}, ENCODER_CHOICE).eval()
    sound = torch.randn(1, 1, 1600)
    later = sound.clone()
    later[:, :, 800:] = sound.flip(2)[:, :, 800:]
    before, after = (encoder.features(heard * (len(heard) / heard.norm())) for heard in (sound, later))
    changes = (before - after).abs().amax((0, 1))
    changed = changes > 0.1 * changes.max()
    assert not changed[:8].any(), "a code sees up to 45 ms and the loudness of all, so that little shows early"
    assert changed[10:].all()


@pytest.mark.parametrize("spec", [*SPECS[:1], *SPECS[3:4], {"name": "mel_resnet"}], ids=str)
def test_loudness_is_no_part_of_an_embedding(spec: dict[str, object]) -> None:
    encoder = build(spec, ENCODER_CHOICE).eval()
    sound = torch.randn(2, 1, 3200)
    assert_close(encoder(10 * sound), encoder(sound), atol=1e-4, rtol=1e-4)


def test_rates_that_give_no_codes_of_10_ms() -> None:
    with pytest.raises(ConfigError, match="sample_rate is 22050; codes of 10 ms need a multiple of 4000 Hz"):
        CPCEncoder(sample_rate=22050)


def test_a_tone_is_loud_in_its_band_and_baselines_load_by_name() -> None:
    loaded = load_encoder("log_mel:sample_rate=8000")
    tone = torch.sin(2 * torch.pi * torch.tensor([300.0, 3000.0])[:, None, None] * torch.arange(4000) / 8000)
    low, high = loaded.encoder.features(tone).mean(2).argmax(1).tolist()
    assert low < 10
    assert 30 < high < 40
    assert load_encoder("mfcc:sample_rate=8000").encoder.dim == 80


def test_sound_lengths() -> None:
    sound = torch.tensor([[[0.0, 1, 0, 2, 0, 0]], [[0] * 6], [[1] * 6]]).float()
    assert sound_lengths(sound).tolist() == [4, 0, 6]


def test_the_cepstrum_is_the_cosine_transform_of_the_bands() -> None:
    encoder = load_encoder("mfcc").encoder
    sound = torch.randn(1, 1, 3200)
    cells = load_encoder("log_mel").encoder.features(sound)[0]
    mels = torch.arange(40)
    for number in (1, 7):
        wave = torch.cos(torch.pi / 40 * (mels + 0.5) * number) * (2 / 40) ** 0.5
        assert_close(encoder.features(sound)[0, number], wave @ cells, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize(("channels", "kernel", "stride"), [(1, 10, 5), (3, 10, 5), (3, 4, 2), (4, 3, 1), (2, 1, 1)])
def test_convolutions_with_channels_last_are_those_with_channels_first(channels: int, kernel: int, stride: int) -> None:
    layer = TimeConvolution(channels, 6, kernel, stride)
    cells = torch.randn(2, 4 * stride, channels)
    reach = kernel - stride
    padded = functional.pad(cells.transpose(1, 2), (reach // 2, reach - reach // 2))
    wanted = functional.conv1d(padded, layer.weight, stride=stride).transpose(1, 2)
    assert wanted.shape == (2, 4, 6)
    assert_close(layer(cells), wanted)


def test_all_layers_side_by_side() -> None:
    torch.manual_seed(0)
    encoder = CPCEncoder(sample_rate=8000, front="log_mel", embed="all", **SMALL)  # type: ignore[arg-type]
    assert encoder.log_mel is not None
    sound = torch.randn(2, 1, 1650)
    spectrum, codes, contexts = encoder.features(sound).split([40, 8, 6], dim=1)
    assert_close(spectrum[:, :, :20], encoder.log_mel.leveled(sound)[:, :, :20], atol=1e-2, rtol=1e-2)
    assert_close(codes.transpose(1, 2), encoder.codes(sound))
    assert_close(contexts.transpose(1, 2), encoder.contexts(encoder.codes(sound)))
