from typing import Any

import numpy as np
import pytest

from mmssl.errors import EvaluationError
from mmssl.evaluation.labeled import balanced_part, labeled_splits, shuffled, validation_part

LABELS = ("b", "a", None, "a", "c", "b")
SPLITS = ("train", "train", "train", "train", "test", "test")
GROUPS = ("g0", "g1", "g2", "g3", "g4", "g5")


def task(**changes: Any) -> Any:
    columns = {"labels": LABELS, "splits": SPLITS, "groups": GROUPS, **changes}
    names = {"train_split": columns.pop("train_split", "train"), "test_split": columns.pop("test_split", "test")}
    return labeled_splits(columns["labels"], columns["splits"], columns["groups"], **names)


def test_splits_by_hand() -> None:
    found = task()
    assert found.classes == ("a", "b", "c")
    assert found.num_train_classes == 2
    assert found.train.tolist() == [0, 1, 3]
    assert found.train_classes.tolist() == [1, 0, 0]
    assert found.test.tolist() == [4, 5]
    assert found.test_classes.tolist() == [2, 1]
    assert (found.num_unlabeled, found.num_without_own_class) == (1, 1)
    assert found.remarks() == [
        "1 scored clips are of a class that is not learnt from",
        "1 clips without a label are left out",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": (None,) * 6}, "none of 6 clips has a label"),
        ({"splits": (None,) * 6}, r"'train' has no labelled clip; splits are \['none'\]"),
        ({"test_split": "val"}, r"'val' has no labelled clip; splits are \['test', 'train'\]"),
        ({"test_split": "train"}, "are both 'train'"),
        ({"groups": ("same",) * 6}, "1 groups stand in both 'train' and 'test'"),
        ({"labels": ("a", "a", "a", "a", "a", "b")}, "of one class, 'a'"),
    ],
)
def test_what_cannot_be_learnt_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        task(**changes)


def test_order_belongs_to_names() -> None:
    names = [f"clip{number}" for number in range(50)]
    order = [names[place] for place in shuffled(names, seed=1, purpose="p")]
    backwards = names[::-1]
    assert [backwards[place] for place in shuffled(backwards, seed=1, purpose="p")] == order
    assert [names[place] for place in shuffled(names, seed=2, purpose="p")] != order
    assert [names[place] for place in shuffled(names, seed=1, purpose="q")] != order


def test_validation_takes_whole_groups_of_every_class() -> None:
    classes = np.repeat([0, 1, 2], [40, 20, 4])
    groups = [f"g{place // 2}" for place in range(64)]
    marked = validation_part(classes, groups, share=0.25, seed=0)
    assert [int(marked[classes == number].sum()) for number in range(3)] == [10, 4, 2]
    assert {groups[place] for place in np.flatnonzero(marked)}.isdisjoint(
        groups[place] for place in np.flatnonzero(~marked)
    )
    assert not np.array_equal(marked, validation_part(classes, groups, share=0.25, seed=1))


def test_class_of_one_group_is_not_spared() -> None:
    marked = validation_part(np.array([0, 0, 1, 1]), ["a", "a", "b", "c"], share=0.5, seed=0)
    assert marked[:2].tolist() == [False, False]
    assert marked[2:].sum() == 1


def test_balanced_part_grows_by_adding() -> None:
    classes = np.repeat([0, 1, 2], [30, 20, 3])
    ids = [f"clip{place}" for place in range(53)]
    few, more = (balanced_part(classes, ids, per_class=count, seed=4) for count in (2, 5))
    assert [int(few[classes == number].sum()) for number in range(3)] == [2, 2, 2]
    assert [int(more[classes == number].sum()) for number in range(3)] == [5, 5, 3]
    assert (few <= more).all()
