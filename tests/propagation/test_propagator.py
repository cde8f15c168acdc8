from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from mmssl.functional.affinity import Window, propagate
from mmssl.functional.affinity_dilated import propagate_dilated
from mmssl.functional.affinity_each_frame import propagate_each_frame
from mmssl.propagation.presets import CRW, DINO, MAST, PRESETS, UVC, Preset
from mmssl.propagation.propagator import Propagator


def test_dino_context_is_the_first_and_the_seven_previous_frames() -> None:
    features = [torch.randn(6, 14, 15) for _ in range(12)]
    labels = [torch.rand(2, 14, 15)]
    propagator = Propagator(DINO)
    assert torch.equal(propagator.step(features[0], labels[0]), labels[0])
    for frame in range(1, 12):
        context = [0, *range(max(1, frame - 7), frame)]
        slow = propagate(
            features[frame],
            torch.stack([features[index] for index in context]),
            torch.stack([labels[index] for index in context]),
            radius=12,
            top_k=5,
            temperature=0.1,
        )
        labels.append(propagator.step(features[frame]))
        torch.testing.assert_close(labels[-1], slow, rtol=0, atol=1e-5)


def test_crw_pads_with_the_first_frame() -> None:
    first, second = torch.randn(6, 5, 5), torch.randn(6, 5, 5)
    labels = torch.rand(2, 5, 5)
    propagator = Propagator(CRW)
    propagator.step(first, labels)
    got = propagator.step(second)
    keys, values = first.expand(21, 6, 5, 5), labels.expand(21, 2, 5, 5)
    slow = propagate(second, keys, values, radius=11, top_k=10, temperature=0.05)
    torch.testing.assert_close(got, slow, rtol=0, atol=1e-5)


def test_uvc_averages_over_the_first_and_the_seven_previous_frames() -> None:
    features = [3 * torch.randn(6, 7, 8) for _ in range(10)]
    labels = [torch.rand(2, 7, 8)]
    propagator = Propagator(UVC)
    propagator.step(features[0], labels[0])
    for frame in range(1, 10):
        context = [0, *range(max(1, frame - 7), frame)]
        keys, values = [features[index] for index in context], [labels[index] for index in context]
        slow = propagate_each_frame(features[frame], keys, values, top_k=5, temperature=1.0)
        labels.append(propagator.step(features[frame]))
        torch.testing.assert_close(labels[-1], slow, rtol=0, atol=1e-6)


def test_mast_sees_two_kept_frames_and_every_second_before() -> None:
    features = [2 * torch.randn(6, 9, 10) for _ in range(24)]
    labels = [F.one_hot(torch.randint(0, 3, (9, 10)), 3).permute(2, 0, 1).float()]
    propagator = Propagator(replace(MAST, window=Window(2)))
    propagator.step(features[0], labels[0])
    for frame in range(1, 24):
        context = sorted({place for place in (0, 5, frame - 5, frame - 3, frame - 1) if 0 <= place < frame})
        dilations = [min(4, (frame - place) // 15 + 1) if frame - place > 15 else 1 for place in context]
        assert dilations[0] == (2 if frame > 15 else 1)
        slow = propagate_dilated(
            features[frame],
            [features[place] for place in context],
            [labels[place] for place in context],
            dilations=dilations,
            radius=2,
            temperature=1.0,
        )
        got = propagator.step(features[frame])
        torch.testing.assert_close(got, slow, rtol=0, atol=1e-6)
        labels.append(F.one_hot(got.argmax(dim=0), 3).permute(2, 0, 1).float())


def test_hard_feedback_spares_cells_without_label_and_channels_that_do_not_compete() -> None:
    propagator = Propagator(MAST, num_competing=2)
    labels = torch.tensor([[[0.4, 0.0]], [[0.6, 0.0]], [[0.3, 0.2]]])
    propagator.step(torch.randn(4, 1, 2), labels)
    assert torch.equal(propagator.first[1], torch.tensor([[[0.0, 0.0]], [[1.0, 0.0]], [[0.3, 0.2]]]))


def test_labels_given_again_restore_the_memory() -> None:
    features = [torch.randn(4, 6, 7) for _ in range(12)]
    whole, labels = Propagator(DINO), [torch.rand(3, 6, 7)]
    whole.step(features[0], labels[0])
    labels += [whole.step(feature) for feature in features[1:]]
    resumed = Propagator(DINO)
    for frame in [0, *range(4, 11)]:
        resumed.step(features[frame], labels[frame])
    assert torch.equal(resumed.step(features[11]), labels[11])


def test_memory_does_not_grow() -> None:
    propagator = Propagator(DINO)
    propagator.step(torch.randn(4, 3, 3), torch.rand(1, 3, 3))
    for _ in range(30):
        propagator.step(torch.randn(4, 3, 3))
    assert len(propagator._previous) == 7


def test_refuses_what_does_not_fit() -> None:
    propagator = Propagator(DINO)
    with pytest.raises(ValueError, match="first frame needs labels"):
        propagator.step(torch.randn(4, 3, 3))
    propagator.step(torch.randn(4, 3, 3), torch.rand(1, 3, 3))
    with pytest.raises(ValueError, match="features are"):
        propagator.step(torch.randn(4, 3, 5))


@pytest.mark.parametrize("preset", PRESETS.values(), ids=str)
def test_presets_are_complete(preset: Preset) -> None:
    assert PRESETS[preset.name] is preset
    assert preset.source
    propagator = Propagator(preset)
    propagator.step(torch.randn(4, 5, 6), torch.rand(2, 5, 6))
    assert propagator.step(torch.randn(4, 5, 6)).isfinite().all()


def test_an_anchor_is_context_of_every_frame() -> None:
    features = [torch.randn(4, 6, 7) for _ in range(3)]
    labels = [torch.rand(2, 6, 7), torch.rand(2, 6, 7)]
    propagator = Propagator(DINO)
    propagator.step(features[0], labels[0])
    propagator.anchor(propagator.prepare(features[1]), labels[1], place=1)
    got = propagator.step(features[2])
    want = propagate(features[2], torch.stack(features[:2]), torch.stack(labels), radius=12, top_k=5, temperature=0.1)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5)
