import math

import pytest
import torch
from torch import Tensor

from mmssl.functional.affinity import Window, normalize_features
from mmssl.propagation.confidence import CALIBRATION, SIGNS, Calibration, confidence, evidence, weakest_sign


def scene() -> tuple[Tensor, Tensor]:
    """Features in which every cell looks like nothing else, and labels of background and one object."""
    features = normalize_features(torch.randn(1, 64, 10, 12))[0]
    labels = torch.zeros(2, 10, 12)
    labels[1, 3:7, 4:8] = 1
    labels[0] = 1 - labels[1]
    return features, labels


def signs_of(now: tuple[Tensor, Tensor], labeled: tuple[Tensor, Tensor], steps: int = 3) -> Tensor:
    winners = now[1] > 0.5
    return evidence(
        now=now,
        before=labeled,
        labeled=labeled,
        winners=winners,
        steps=steps,
        window=Window(12),
        top_k=1,
        temperature=0.1,
    )


def test_a_frame_that_repeats_the_labeled_one_has_the_best_signs() -> None:
    features, labels = scene()
    signs = signs_of((features, labels), (features, labels))
    best = torch.tensor([1.0, 1.0, 1.0, 0.0, math.log(4)]).expand(2, 5)
    torch.testing.assert_close(signs, best, atol=1e-5, rtol=0)


def test_labels_in_the_wrong_place_do_not_return() -> None:
    features, labels = scene()
    wrong = labels.roll(4, dims=2)
    signs = signs_of((features, wrong), (features, labels))
    assert signs[1, SIGNS.index("cycle")] < 0.1
    assert signs[1, SIGNS.index("resemblance")] < 0.1
    assert signs[1, SIGNS.index("area_change")] < 1e-5
    good = confidence(signs_of((features, labels), (features, labels)))
    assert confidence(signs)[1] < good[1] - 0.3


def test_mixed_labels_and_changed_size_are_seen() -> None:
    features, labels = scene()
    signs = signs_of((features, labels * 0.6), (features, labels))
    assert signs[1, SIGNS.index("sharpness")] == pytest.approx(0.6)
    assert signs[1, SIGNS.index("area_change")] == pytest.approx(-math.log(0.6), abs=1e-3)


@pytest.mark.parametrize(("sign", "direction"), list(zip(SIGNS, (1, 1, 1, -1, -1), strict=True)))
def test_confidence_never_falls_when_a_sign_gets_better(sign: str, direction: int) -> None:
    signs = torch.tensor(CALIBRATION.typical)[None]
    better = signs.clone()
    better[0, SIGNS.index(sign)] += 0.1 * direction
    assert confidence(better) >= confidence(signs)
    assert 0.5 < float(confidence(signs)) < 1


def test_weakest_sign_is_the_one_that_costs_most() -> None:
    by = Calibration(bias=0.0, weights=(1.0, 2.0, 1.0, -1.0, -1.0), typical=(0.9, 0.9, 0.9, 0.1, 2.0))
    assert weakest_sign(torch.tensor([0.5, 0.6, 0.9, 0.1, 2.0]), by) == "cycle"
    assert weakest_sign(torch.tensor([0.9, 0.9, 0.9, 0.1, 9.0]), by) == "distance"
