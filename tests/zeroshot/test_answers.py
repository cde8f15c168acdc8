import numpy as np
import pytest
import torch

from mmssl.data.manifest import ManifestRow
from mmssl.errors import ConfigError
from mmssl.zeroshot.answers import NONE_OF_THESE, Classifier, calibrated_threshold
from mmssl.zeroshot.classes import ClassList, ClassName

CLASSES = ClassList((ClassName("x", parent="flat"), ClassName("y", parent="flat"), ClassName("z")))
ROW = ManifestRow(id="a", uri="a.jpg", media_type="image")


def test_probabilities_are_a_softmax_at_the_models_scale() -> None:
    classifier = Classifier(CLASSES, torch.eye(3), 2.0, top=2)
    similarities = classifier.similarities(torch.tensor([[0.6, 0.8, 0.0]]))
    (answer,) = classifier.answers([ROW], similarities)
    exponents = np.exp(2 * np.array([0.6, 0.8, 0.0]))
    expected = exponents / exponents.sum()
    assert answer.classes == ("y", "x")
    assert answer.probabilities == pytest.approx((expected[1], expected[0]))
    assert (answer.answer, answer.similarity) == ("y", pytest.approx(0.8))
    assert (answer.group, answer.group_probability) == ("flat", pytest.approx(expected[:2].sum()))


def test_equal_classes_come_in_their_order_and_too_far_is_none_of_these() -> None:
    classifier = Classifier(CLASSES, torch.eye(3), 2.0, top=3, threshold=0.7)
    unit = torch.tensor([[1.0, 1.0, 1.0]]) / 3**0.5
    (answer,) = classifier.answers([ROW], classifier.similarities(unit))
    assert answer.classes == ("x", "y", "z")
    assert answer.answer == NONE_OF_THESE


def test_a_rejected_row_has_its_reason_and_no_answer() -> None:
    row = ManifestRow(id="a", uri="a.jpg", media_type="image", status="rejected", error_type="E", error_message="why")
    classifier = Classifier(CLASSES, torch.eye(3), 2.0)
    (answer,) = classifier.answers([row], classifier.similarities(torch.zeros(1, 3)))
    assert (answer.status, answer.error_type, answer.error_message, answer.answer) == ("rejected", "E", "why", None)


def test_threshold_accepts_no_more_than_asked_for() -> None:
    best = np.arange(99, dtype=np.float32) / 100
    assert calibrated_threshold(best, false_accepts=0.05) == pytest.approx(0.94, abs=1e-6)
    assert (best >= calibrated_threshold(best, false_accepts=0.05)).sum() == 4
    generator = np.random.default_rng(0)
    drawn = generator.normal(size=(4000, 20)).astype(np.float32)
    accepted = [row[19] >= calibrated_threshold(row[:19], false_accepts=0.1) for row in drawn]
    assert np.mean(accepted) == pytest.approx(0.1, abs=0.015), "an image that was not in the calibration"


def test_too_few_images_for_a_threshold_are_refused_with_the_number_that_is_needed() -> None:
    with pytest.raises(ConfigError, match="at least 19"):
        calibrated_threshold(np.zeros(18, np.float32), false_accepts=0.05)
    calibrated_threshold(np.zeros(19, np.float32), false_accepts=0.05)
    with pytest.raises(ConfigError, match="between 0 and 1"):
        calibrated_threshold(np.zeros(9, np.float32), false_accepts=1.0)
