import numpy as np
import pytest

from mmssl.evaluation.calibration import confusion_matrix, expected_calibration_error
from mmssl.evaluation.zero_shot_scores import zero_shot_scores


def test_calibration_error_by_hand() -> None:
    confidence = np.array([0.95, 0.95, 0.55, 0.55])
    right = np.array([True, False, True, True])
    assert expected_calibration_error(confidence, right) == pytest.approx(0.5 * 0.45 + 0.5 * 0.45)
    assert expected_calibration_error(np.ones(3), np.ones(3, bool)) == 0
    assert expected_calibration_error(np.array([0.0, 1.0]), np.array([False, True])) == 0


def test_calibration_error_matches_loops() -> None:
    generator = np.random.default_rng(1)
    confidence, right = generator.uniform(size=200), generator.uniform(size=200) < 0.5
    total = 0.0
    for number in range(10):
        inside = (confidence > number / 10) & (confidence <= (number + 1) / 10)
        if inside.any():
            total += inside.sum() / 200 * abs(confidence[inside].mean() - right[inside].mean())
    assert expected_calibration_error(confidence, right, num_bins=10) == pytest.approx(total)


def test_confusion_counts_pairs() -> None:
    assert confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist() == [[1, 1], [0, 1]]


def test_scores_by_hand() -> None:
    best = np.array([[0, 1, 2], [1, 0, 2], [1, 0, 2], [2, 1, 0]])
    classes = np.array([0, 0, 1, 2])
    scores = zero_shot_scores(best, np.full(4, 0.75), classes, ("a", "b", "c"), accepted=np.array([1, 1, 0, 1], bool))
    assert (scores.acc1, scores.acc5, scores.chance, scores.accepted) == (0.75, None, pytest.approx(1 / 3), 0.75)
    assert scores.mean_per_class_recall == pytest.approx((0.5 + 1 + 1) / 3)
    assert scores.ece == pytest.approx(0)
    assert scores.confusion == (("a", "a", 1), ("a", "b", 1), ("b", "b", 1), ("c", "c", 1))


def test_five_classes_have_an_acc5_and_many_classes_a_list_of_mistakes() -> None:
    best = np.array([[4, 3, 2, 1, 0], [5, 4, 3, 2, 1]])
    names = tuple(map(str, range(150)))
    scores = zero_shot_scores(best, np.ones(2), np.array([0, 0]), names, accepted=np.ones(2, bool))
    assert (scores.acc1, scores.acc5) == (0.0, 0.5)
    assert scores.confusion == (("0", "4", 1), ("0", "5", 1))
