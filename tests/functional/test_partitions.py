from itertools import permutations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from mmssl.functional.partitions import (
    adjusted_rand_index,
    assignment_accuracy,
    contingency,
    normalized_mutual_information,
)

MEASURES = (adjusted_rand_index, assignment_accuracy, normalized_mutual_information)


@pytest.mark.parametrize(("num_clusters", "num_classes"), [(3, 3), (5, 3), (2, 6), (1, 4)])
def test_matches_scikit_learn(num_clusters: int, num_classes: int) -> None:
    random = np.random.default_rng(num_clusters)
    clusters, classes = random.integers(0, num_clusters, 60), random.integers(0, num_classes, 60)
    clusters[:30] = classes[:30] % num_clusters
    assert adjusted_rand_index(clusters, classes) == pytest.approx(adjusted_rand_score(classes, clusters))
    assert normalized_mutual_information(clusters, classes) == pytest.approx(
        normalized_mutual_info_score(classes, clusters), abs=1e-12
    )


def test_assignment_matches_all_orders() -> None:
    random = np.random.default_rng(0)
    clusters, classes = random.integers(0, 4, 40), random.integers(0, 4, 40)
    slowly = max(np.mean(np.array(order)[clusters] == classes) for order in permutations(range(4)))
    assert assignment_accuracy(clusters, classes) == pytest.approx(slowly)


def test_two_clusters_are_not_given_to_one_class() -> None:
    assert assignment_accuracy(np.array([0, 0, 1, 1]), np.array([7, 7, 7, 7])) == 0.5


def test_known_table() -> None:
    assert contingency(np.array([5, 5, 9]), np.array([2, 3, 3])).tolist() == [[1, 1], [0, 1]]


@pytest.mark.parametrize("measure", MEASURES)
def test_names_do_not_matter(measure: object) -> None:
    assert callable(measure)
    random = np.random.default_rng(1)
    clusters, classes = random.integers(0, 4, 50), random.integers(0, 5, 50)
    assert measure(3 - clusters, 10 * classes) == pytest.approx(measure(clusters, classes))
    assert measure(classes, classes * 2) == pytest.approx(1.0)


def test_random_clusters_have_an_adjusted_rand_index_near_zero() -> None:
    random = np.random.default_rng(2)
    assert abs(adjusted_rand_index(random.integers(0, 10, 4000), random.integers(0, 10, 4000))) < 0.01
