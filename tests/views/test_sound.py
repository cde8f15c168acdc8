"""Views of sound: seeded by item, past and future apart, faults named."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from mmssl.config import build
from mmssl.errors import ConfigError
from mmssl.functional.random import ItemRandom
from mmssl.functional.sound_effects import sound_lengths
from mmssl.views import VIEW_CHOICE
from mmssl.views.sound_augmentation import SoundAugmentation

CLIPS = 0.1 * torch.randn(4, 2, 1, 1600, generator=torch.Generator().manual_seed(0))
EVERYTHING: dict[str, Any] = {
    "sample_rate": 8000,
    "reverb_probability": 1.0,
    "noise_probability": 1.0,
    "reject_probability": 1.0,
    "mask_probability": 1.0,
}
NOTHING = {name.replace("sample_rate", "pitch_probability"): 0.0 for name in EVERYTHING}
SPECS: list[dict[str, Any]] = [
    {"name": "sound", "past": EVERYTHING, "num_samples": 1000},
    {"name": "sound", "past": EVERYTHING, "future": EVERYTHING},
    {"name": "sound_pair", "augmentation": EVERYTHING, "num_samples": 1200},
]


def views(spec: dict[str, Any], items: list[int], *, clips: Tensor = CLIPS) -> dict[str, Tensor]:
    made: dict[str, Tensor] = build(spec, VIEW_CHOICE)(clips, ItemRandom(3, 1, items))
    return made


@pytest.mark.parametrize("spec", SPECS, ids=["past", "past and future", "pair"])
def test_a_view_belongs_to_its_item(spec: dict[str, Any]) -> None:
    before = torch.get_rng_state()
    together = views(spec, [5, 6, 7, 8])
    assert torch.equal(torch.get_rng_state(), before)
    apart = views(spec, [8, 6], clips=CLIPS[[3, 1]])
    for name, values in apart.items():
        assert_close(values, together[name][[3, 1]], atol=1e-5, rtol=0)
    same = views(spec, [5, 6, 7, 8], clips=CLIPS[:1].expand(4, -1, -1, -1))
    changed = "view_1" if "view_1" in same else "sound"
    assert not torch.equal(same[changed][0], same[changed][1])


def test_past_and_future_are_changed_apart_from_one_window() -> None:
    plain = views({"name": "sound"}, [0, 1, 2, 3])
    past = views({"name": "sound", "past": EVERYTHING}, [0, 1, 2, 3])
    assert sorted(plain) == ["draw", "sound"]
    assert_close(past["later"], plain["sound"])
    assert not torch.equal(past["sound"], plain["sound"])
    both = views({"name": "sound", "past": EVERYTHING, "future": EVERYTHING}, [0, 1, 2, 3])
    assert_close(both["sound"], past["sound"])
    assert not torch.equal(both["later"], both["sound"])
    future = views({"name": "sound", "future": EVERYTHING}, [0, 1, 2, 3])
    assert_close(future["sound"], plain["sound"])
    assert_close(future["later"], both["later"])


def test_an_augmentation_by_no_chance_changes_nothing_and_lengths_stay() -> None:
    sound = CLIPS[:, 0].clone()
    sound[1, :, 900:] = 0
    random = ItemRandom(0, 0, range(4))
    assert_close(SoundAugmentation(**NOTHING)(sound, random, "x"), sound)
    heard = SoundAugmentation(**EVERYTHING)(sound, random, "x")
    assert sound_lengths(heard).tolist() == [1600, 900, 1600, 1600]
    assert bool(torch.isfinite(heard).all())


def test_faults_are_named() -> None:
    with pytest.raises(ConfigError, match="mask_share is 2"):
        SoundAugmentation(mask_share=2.0)
    with pytest.raises(ConfigError, match="not negative"):
        SoundAugmentation(reverb_wet=-1.0)
    with pytest.raises(ConfigError, match="pitch_semitone"):
        build({"name": "sound", "past": {"pitch_semitone": 1}}, VIEW_CHOICE)
