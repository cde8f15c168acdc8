"""How well two ways to sort the same items into groups agree, whatever the groups are called."""

import numpy as np
from jaxtyping import Int


def contingency(
    clusters: Int[np.ndarray, " items"], classes: Int[np.ndarray, " items"]
) -> Int[np.ndarray, "clusters classes"]:
    """How many items each cluster and class share; clusters and classes without an item are left out."""
    rows = np.unique(clusters, return_inverse=True)[1]
    columns = np.unique(classes, return_inverse=True)[1]
    table = np.zeros((rows.max() + 1, columns.max() + 1), dtype=np.int64)
    np.add.at(table, (rows, columns), 1)
    return table


def assignment_accuracy(clusters: Int[np.ndarray, " items"], classes: Int[np.ndarray, " items"]) -> float:
    """Share of items that are right where each cluster is given to one class of its own, as well as that can be done.

    Source:
        Kuhn 1955, "The Hungarian method for the assignment problem".
    """
    from scipy.optimize import linear_sum_assignment

    table = contingency(clusters, classes)
    rows, columns = linear_sum_assignment(table, maximize=True)
    return float(table[rows, columns].sum() / len(clusters))


def normalized_mutual_information(clusters: Int[np.ndarray, " items"], classes: Int[np.ndarray, " items"]) -> float:
    """Mutual information over the mean of the two entropies: 0 where independent, 1 where the same; 1 for one group each.

    Source:
        Strehl and Ghosh 2002, "Cluster ensembles", with the arithmetic mean.
    """
    joint = contingency(clusters, classes) / len(clusters)
    of_cluster, of_class = joint.sum(1), joint.sum(0)
    entropies = [-float((share * np.log(share)).sum()) for share in (of_cluster, of_class)]
    if sum(entropies) == 0:
        return 1.0
    present = joint > 0
    information = float((joint[present] * np.log(joint[present] / np.outer(of_cluster, of_class)[present])).sum())
    return max(information, 0.0) / (sum(entropies) / 2)


def adjusted_rand_index(clusters: Int[np.ndarray, " items"], classes: Int[np.ndarray, " items"]) -> float:
    """Share of pairs of items that both sort alike, less what chance gives: 0 on average at random, 1 where the same.

    Source:
        Hubert and Arabie 1985, "Comparing partitions", eq. 5.
    """
    table = contingency(clusters, classes)
    together, of_cluster, of_class, pairs = (
        float((counts * (counts - 1)).sum()) / 2
        for counts in (table, table.sum(1), table.sum(0), np.array(len(clusters)))
    )
    expected = of_cluster * of_class / max(pairs, 1.0)
    largest = (of_cluster + of_class) / 2
    return 1.0 if largest == expected else (together - expected) / (largest - expected)
