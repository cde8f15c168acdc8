import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from mmssl.functional.logistic import LinearClassifier, fit_logistic


def problem(count: int = 200, dim: int = 7, num_classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    features = torch.randn(count, dim, dtype=torch.float64)
    planes = torch.randn(dim, num_classes, dtype=torch.float64)
    return features, (features @ planes + torch.randn(count, num_classes, dtype=torch.float64)).argmax(1)


@pytest.mark.parametrize("l2", [1e-3, 1e-2, 1.0])
def test_matches_scikit_learn(l2: float) -> None:
    features, classes = problem()
    found = fit_logistic(features, classes, num_classes=4, l2=l2)
    reference = LogisticRegression(C=1 / (l2 * len(features)), tol=1e-10, max_iter=5000).fit(features, classes)
    np.testing.assert_allclose(found.weight, reference.coef_, rtol=1e-4, atol=1e-4)
    centered = reference.intercept_ - reference.intercept_.mean()
    np.testing.assert_allclose(found.bias - found.bias.mean(), centered, atol=1e-4)


def test_single_precision_finds_the_same_answers() -> None:
    features, classes = problem(400)
    double = fit_logistic(features, classes, num_classes=4, l2=1e-3).scores(features)
    single = fit_logistic(features.float(), classes, num_classes=4, l2=1e-3).scores(features.float())
    assert (double.argmax(1) == single.argmax(1)).double().mean() > 0.99


def test_soft_targets_that_are_certain_are_classes() -> None:
    features, classes = problem()
    hard = fit_logistic(features, classes, num_classes=4, l2=1e-2)
    soft = fit_logistic(features, torch.eye(4, dtype=torch.float64)[classes], num_classes=4, l2=1e-2)
    torch.testing.assert_close(soft.weight, hard.weight, atol=1e-4, rtol=0)


def test_without_features_the_bias_is_the_log_of_the_shares() -> None:
    classes = torch.tensor([0, 0, 0, 1])
    found = fit_logistic(torch.zeros(4, 2, dtype=torch.float64), classes, num_classes=2, l2=1.0)
    assert float(found.bias[0] - found.bias[1]) == pytest.approx(math.log(3), abs=1e-5)


def test_starting_from_the_solution_stays_there() -> None:
    features, classes = problem()
    found = fit_logistic(features, classes, num_classes=4, l2=1e-2)
    again = fit_logistic(features, classes, num_classes=4, l2=1e-2, start=found)
    torch.testing.assert_close(again.weight, found.weight, atol=1e-4, rtol=0)


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="0 items"):
        fit_logistic(torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64), num_classes=2, l2=1.0)
    with pytest.raises(ValueError, match="l2 -1"):
        fit_logistic(torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64), num_classes=2, l2=-1.0)


def test_scores_are_logits() -> None:
    classifier = LinearClassifier(torch.tensor([[1.0, 2.0]]), torch.tensor([0.5]))
    assert classifier.scores(torch.tensor([[3.0, -1.0]])).tolist() == [[1.5]]
