"""Few-shot episodes: a handful of examples of each of a few classes, and queries to sort into them."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from mmssl.errors import EvaluationError
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject
from mmssl.functional.random import ItemRandom
from mmssl.retrieval.embeddings import EmbeddingTable

EPISODES_AT_ONCE = 50
NORMAL_95 = 1.96
"""Half the width of a 95 % interval in standard errors."""


def few_shot(
    subject: Subject,
    *,
    split: str = "test",
    num_ways: int = 5,
    shots: tuple[int, ...] = (1, 5),
    num_queries: int = 15,
    num_episodes: int = 600,
) -> list[ReportRow]:
    """Sorts queries into a few classes by the nearest class mean of a few examples, over many drawn episodes.

    In an episode every clip of a class comes from another group, so that no query has an example of its own source.

    Args:
        subject: Its clips, or a table of its embeddings; clips without a label are left out.
        split: Split that episodes are drawn from; where the data has one split, that one.
        num_ways: Classes of an episode.
        shots: Examples of each class, for each of which there is a score.
        num_queries: Of each class.
        num_episodes: For each number of shots.

    Returns:
        Mean accuracy over episodes, and half the width of its 95 % interval, for each number of shots; then chance.

    Raises:
        EvaluationError: If labels or the split are missing, or too few classes have enough groups.

    Source:
        Snell, Swersky and Zemel 2017, arXiv:1703.05175; on normalised embeddings as Wang et al. 2019, arXiv:1911.04623.
    """
    if num_ways < 2 or num_queries < 1 or num_episodes < 2 or not shots or min(shots) < 1:
        raise ValueError(
            f"num_ways must be at least 2, num_queries 1, num_episodes 2 and every shot 1, "
            f"got {num_ways}, {num_queries}, {num_episodes}, {shots}"
        )
    table = subject.embeddings()
    names = sorted({name or "none" for name in table.splits})
    chosen = names[0] if len(names) == 1 else split
    groups = _groups_by_class(table, chosen)
    if not groups:
        raise EvaluationError(f"the split {chosen!r} has no labelled clip; splits are {names}; set split")
    unit = normalize(torch.from_numpy(np.array(table.embeddings)), dim=1)
    rows, by_chance = [], []
    for shot in shots:
        usable = {name: members for name, members in groups.items() if len(members) >= shot + num_queries}
        if len(usable) < num_ways:
            raise EvaluationError(
                f"{len(usable)} of {len(groups)} classes of {chosen!r} have {shot} + {num_queries} groups to draw examples "
                f"and queries from, fewer than num_ways={num_ways}; lower num_queries, shots or num_ways"
            )
        accuracy = _accuracies(
            unit,
            list(usable.values()),
            num_ways=num_ways,
            num_shots=shot,
            num_queries=num_queries,
            num_episodes=num_episodes,
            seed=subject.seed,
        )
        half = NORMAL_95 * float(accuracy.std(correction=1)) / num_episodes**0.5
        protocol = (
            f"{num_episodes} episodes of {num_ways} of {len(usable)} classes of {chosen!r}, with examples and {num_queries} "
            f"queries of each class, every clip of a class from another group; a query goes to the class whose mean of "
            f"L2-normalised examples is nearest by cosine similarity; mean accuracy over episodes and half the width of "
            f"its 95 % interval (1.96 standard errors); {subject.clip_in_words()}"
        )
        if len(usable) < len(groups):
            protocol += f"; {len(groups) - len(usable)} classes with too few groups are left out"
        metric = f"{num_ways}-way {shot}-shot"
        detail = {"num_classes": len(usable), "confidence_95": half}
        for name, value in ((metric, float(accuracy.mean())), (f"{metric} ±", half)):
            rows.append(
                subject.row(
                    "few_shot",
                    name,
                    value,
                    split="all" if chosen == "none" else chosen,
                    num_items=num_episodes,
                    protocol=f"{protocol}.",
                    detail=detail,
                )
            )
        by_chance.append(
            subject.row(
                "few_shot",
                metric,
                1 / num_ways,
                split="all" if chosen == "none" else chosen,
                num_items=num_episodes,
                protocol=f"A guess among {num_ways} classes with equal odds.",
                encoder="chance",
            )
        )
    return [*rows, *by_chance]


def _groups_by_class(table: EmbeddingTable, split: str) -> dict[str, list[list[int]]]:
    """The labelled clips of a split: for each class its groups, for each group its clips, all in order of their names."""
    found: dict[str, dict[str, list[tuple[str, int]]]] = {}
    for place, label in enumerate(table.labels):
        if label is not None and (table.splits[place] or "none") == split:
            found.setdefault(label, {}).setdefault(table.groups[place], []).append((table.ids[place], place))
    return {
        label: [[place for _, place in sorted(members)] for _, members in sorted(groups.items())]
        for label, groups in sorted(found.items())
    }


def draw_episodes(
    classes: list[list[list[int]]], *, num_ways: int, num_clips: int, episodes: range, seed: int
) -> Int[Tensor, "episodes ways clips"]:
    """Clips of some classes for each episode, each clip of a class from another of its groups.

    Args:
        classes: For each class its groups, for each group its clips.
        num_ways: Classes of an episode.
        num_clips: Of each class; no class has fewer groups.
        episodes: Their numbers.
        seed: Of the draw.
    """
    random = ItemRandom(seed, 0, episodes)
    ways = random.permutations("classes", len(classes))[:, :num_ways]
    most = max(len(groups) for groups in classes)
    sizes = torch.tensor([len(groups) for groups in classes])
    keys = random.uniform("groups", (num_ways, most))
    keys[torch.arange(most) >= sizes[ways][:, :, None]] = 2.0
    groups = keys.argsort(dim=2, stable=True)[:, :, :num_clips]
    share = random.uniform("clips", (num_ways, num_clips))
    clips = torch.empty_like(groups)
    for episode, way, place in np.ndindex(*groups.shape):
        members = classes[int(ways[episode, way])][int(groups[episode, way, place])]
        clips[episode, way, place] = members[int(share[episode, way, place] * len(members))]
    return clips


def episode_accuracies(
    support: Float[Tensor, "episodes ways shots dim"], queries: Float[Tensor, "episodes ways queries dim"]
) -> Float[Tensor, " episodes"]:
    """Share of queries that are nearest, by cosine similarity, to the mean of their own class's examples.

    Args:
        support: Examples of each class, of length 1.
        queries: Of each class, of length 1.
    """
    means = normalize(support.mean(2), dim=2)
    scores = torch.einsum("ewqd,evd->ewqv", queries, means)
    own = torch.arange(scores.shape[1], device=scores.device)[:, None]
    return (scores.argmax(3) == own).double().mean((1, 2))


def _accuracies(
    unit: Float[Tensor, "clips dim"],
    classes: list[list[list[int]]],
    *,
    num_ways: int,
    num_shots: int,
    num_queries: int,
    num_episodes: int,
    seed: int,
) -> Float[Tensor, " episodes"]:
    found = []
    for start in range(0, num_episodes, EPISODES_AT_ONCE):
        episodes = range(start, min(start + EPISODES_AT_ONCE, num_episodes))
        places = draw_episodes(
            classes, num_ways=num_ways, num_clips=num_shots + num_queries, episodes=episodes, seed=seed
        )
        drawn = unit[places]
        found.append(episode_accuracies(drawn[:, :, :num_shots], drawn[:, :, num_shots:]))
    return torch.cat(found)
