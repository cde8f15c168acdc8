from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from mmssl.errors import EvaluationError
from mmssl.evaluation.few_shot import draw_episodes, episode_accuracies, few_shot
from tests.evaluation.toys import noisy_table, scores, subject_of


def test_accuracies_match_loops() -> None:
    support = normalize(torch.randn(4, 3, 2, 5), dim=3)
    queries = normalize(torch.randn(4, 3, 6, 5), dim=3)
    for episode, found in enumerate(episode_accuracies(support, queries).tolist()):
        right = 0
        for way in range(3):
            for query in queries[episode, way]:
                cosines = [torch.cosine_similarity(query, support[episode, other].mean(0), dim=0) for other in range(3)]
                right += int(np.argmax(cosines)) == way
        assert found == pytest.approx(right / 18)


def test_clips_of_an_episode_come_from_groups_of_their_own() -> None:
    classes = [
        [[100 * label + 2 * group, 100 * label + 2 * group + 1] for group in range(4 + label)] for label in range(5)
    ]
    drawn = draw_episodes(classes, num_ways=3, num_clips=4, episodes=range(40), seed=0)
    for episode in drawn.tolist():
        assert len({clips[0] // 100 for clips in episode}) == 3
        for clips in episode:
            assert len({clip // 2 for clip in clips}) == 4
    assert len({clip for episode in drawn.tolist() for clips in episode for clip in clips}) == 60


def test_episodes_do_not_depend_on_how_they_are_cut() -> None:
    classes = [[[10 * label + group] for group in range(6)] for label in range(4)]
    both = draw_episodes(classes, num_ways=2, num_clips=3, episodes=range(10), seed=0)
    second = draw_episodes(classes, num_ways=2, num_clips=3, episodes=range(5, 10), seed=0)
    assert torch.equal(both[5:], second)
    assert not torch.equal(both, draw_episodes(classes, num_ways=2, num_clips=3, episodes=range(10), seed=1))


def test_clear_classes_and_noise() -> None:
    clear = few_shot(subject_of(noisy_table(600, scale=0.02, per_group=1)), num_episodes=30)
    assert scores(clear) == {"5-way 1-shot": 1.0, "5-way 1-shot ±": 0.0, "5-way 5-shot": 1.0, "5-way 5-shot ±": 0.0}
    noise = few_shot(subject_of(noisy_table(600, scale=100.0, per_group=1)), num_episodes=100)
    found = scores(noise)
    assert abs(found["5-way 1-shot"] - scores(noise, "chance")["5-way 1-shot"]) < 3 * found["5-way 1-shot ±"]


def test_interval_shrinks_with_episodes() -> None:
    table = noisy_table(600, per_group=1)
    few, many = (
        scores(few_shot(subject_of(table), shots=(1,), num_episodes=count))["5-way 1-shot ±"] for count in (20, 320)
    )
    assert few / many == pytest.approx(4, rel=0.4)


def test_order_of_clips_does_not_matter() -> None:
    table = noisy_table(300, per_group=1)
    order = np.random.default_rng(0).permutation(len(table)).tolist()
    settings = {"num_queries": 5, "shots": (2,), "num_episodes": 20}
    assert scores(few_shot(subject_of(table.subset(order)), **settings)) == scores(
        few_shot(subject_of(table), **settings)
    )


def test_what_cannot_be_scored_is_refused() -> None:
    table = noisy_table()
    with pytest.raises(EvaluationError, match=r"0 of 6 classes of 'test' have 1 \+ 15 groups"):
        few_shot(subject_of(table))
    with pytest.raises(EvaluationError, match="'val' has no labelled clip"):
        few_shot(subject_of(table), split="val")
    with pytest.raises(EvaluationError, match="'test' has no labelled clip"):
        few_shot(subject_of(replace(table, labels=(None,) * len(table))))
    with pytest.raises(ValueError, match="num_ways"):
        few_shot(subject_of(table), num_ways=1)
