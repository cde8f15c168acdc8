"""Retrieval both ways between two kinds of things: how far down a ranking the first right one stands."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.retrieval import random_recall
from mmssl.evaluation.subject import Subject

RULE = "right where any that belongs to the query is among the first k (any-hit); equal similarities count against it"


@dataclass(frozen=True)
class Kind:
    """One of the two kinds, in words.

    Args:
        name: As metrics name it, such as `image`.
        queries: Many of them as queries, such as `captions`.
        gallery: All of them as what is searched, such as `different captions`.
    """

    name: str
    queries: str
    gallery: str


def both_ways(
    subject: Subject,
    evaluation: str,
    similarity: Float[Tensor, "rows columns"],
    belongs: Bool[Tensor, "rows columns"],
    *,
    rows: Kind,
    columns: Kind,
    split: str,
    ks: tuple[int, ...],
    measure: str = "cosine similarity",
) -> list[ReportRow]:
    """R@k and the median rank of the first right one, from columns to rows and from rows to columns, each with chance.

    Args:
        subject: What is scored.
        evaluation: Name in `EVALUATIONS`.
        similarity: Of each row's thing and each column's.
        belongs: Whether they belong together; what belongs to nothing is no query.
        rows: What the rows are.
        columns: What the columns are.
        split: That is scored.
        ks: For which k to give R@k.
        measure: By what things are ranked, for the protocol.

    Raises:
        ValueError: If `ks` is empty or holds a number below 1.
    """
    if not ks or min(ks) < 1:
        raise ValueError(f"ks must hold at least one number, each at least 1, got {ks}")
    found = []
    for queries, gallery, scores, right in (
        (columns, rows, similarity.T, belongs.T),
        (rows, columns, similarity, belongs),
    ):
        name = f"{queries.name} to {gallery.name}"
        kept = right.any(1)
        ranks = first_ranks(scores[kept], right[kept])
        num_right = right[kept].sum(1).double()
        num_ranked = torch.full_like(num_right, right.shape[1])
        protocol = (
            f"Each of {len(ranks)} {queries.queries} of {split} against all {right.shape[1]} {gallery.gallery} by {measure}; "
            f"{RULE}."
        )
        values = {f"{name} R@{k}": float((ranks <= k).double().mean()) for k in ks}
        values[f"{name} median rank"] = float(ranks.double().median())
        chance = {f"{name} R@{k}": float(random_recall(num_right, num_ranked, k).mean()) for k in ks}
        by_chance = "What a ranking in random order gives on average."
        for who, metrics, said in ((None, values, protocol), ("chance", chance, by_chance)):
            found += [
                subject.row(evaluation, metric, value, split=split, num_items=len(ranks), protocol=said, encoder=who)
                for metric, value in metrics.items()
            ]
    return found


def first_ranks(
    scores: Float[Tensor, "queries gallery"], right: Bool[Tensor, "queries gallery"]
) -> Int[Tensor, " queries"]:
    """Rank, from 1, of each query's best right one; what is wrong and equally good comes before it."""
    best = scores.masked_fill(~right, -torch.inf).amax(1, keepdim=True)
    return 1 + ((scores >= best) & ~right).sum(1)
