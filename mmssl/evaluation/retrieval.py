"""Retrieval by nearest embedding: whether clips of a clip's own class come first."""

import math
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor
from torch.nn.functional import normalize

from mmssl.errors import EvaluationError
from mmssl.evaluation.columns import column_values
from mmssl.evaluation.gallery import GalleryTask, gallery_task
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject
from mmssl.progress import Progress

QUERIES_AT_ONCE = 128


def retrieval(
    subject: Subject,
    *,
    ks: tuple[int, ...] = (1, 5, 10),
    gallery_split: str = "train",
    query_split: str = "test",
    exclude_same_group: bool = True,
    across: str | None = None,
) -> list[ReportRow]:
    """Ranks the gallery by cosine similarity to each query; what shares the query's label is right.

    Args:
        subject: Its clips, or a table of its embeddings; clips without a label are left out and counted.
        ks: For which k to give R@k.
        gallery_split: Split that is searched.
        query_split: Split that is scored.
        exclude_same_group: Where the data has one split, whether clips of the query's own group are left out of the ranking;
            else only itself is.
        across: Further column of the manifest; what has the query's own value there is left out of the ranking, such as pictures
            of one artist where another's are looked for. For one split, by the same name as gallery and as queries.

    Returns:
        mAP over the whole ranking and R@k, the share of queries with something right among the first k; then what a
        random ranking gives.

    Raises:
        EvaluationError: If labels or splits are missing, there is nothing to compare with, or a group is in both splits; or if
            two splits are to be compared across a column, or the manifest lacks it.

    Source:
        R@k: Jegou, Douze and Schmid 2011, "Product quantization for nearest neighbor search", in the form of Oh Song et
        al. 2016, arXiv:1511.06452; mAP: Manning, Raghavan and Schuetze 2008, "Introduction to Information Retrieval", 8.4.
    """
    if not ks or min(ks) < 1:
        raise ValueError(f"ks must hold at least one number, each at least 1, got {ks}")
    table = subject.embeddings()
    if across is not None:
        if gallery_split != query_split:
            raise EvaluationError(
                f"across: {across} compares clips of one split; set gallery_split and query_split to the same name"
            )
        values = column_values(table, subject, across)
        table = replace(table, groups=tuple("" if value is None else value for value in values))
    task = gallery_task(
        table,
        gallery_split=gallery_split,
        query_split=query_split,
        exclude_same_group=exclude_same_group or across is not None,
        evaluation="retrieval",
    )
    embeddings = torch.from_numpy(np.array(table.embeddings)).to(subject.device)
    measured, by_chance = _measure(embeddings, task, ks)
    parts = [
        f"{task.who('looked up among')}: all of these ranked by cosine similarity (exact), right where they share its "
        f"label; a query without anything right to find counts 0",
        subject.clip_in_words(),
    ]
    if across is not None:
        parts.append(f"groups are what has the same {across}")
    if task.num_without_own_class:
        parts.append(f"{task.num_without_own_class} queries have nothing right to find")
    if task.num_unlabeled:
        parts.append(f"{task.num_unlabeled} clips without a label are left out")
    detail = {"num_classes": len(task.classes), "num_gallery": len(task.gallery), "num_unlabeled": task.num_unlabeled}
    answers = [
        (None, measured, f"{'; '.join(parts)}.", detail),
        ("chance", by_chance, "What a ranking in random order gives on average.", None),
    ]
    return [
        subject.row(
            "retrieval",
            name,
            value,
            split=task.split,
            num_items=len(task.queries),
            protocol=protocol,
            encoder=encoder,
            detail=facts,
        )
        for encoder, values, protocol, facts in answers
        for name, value in values.items()
    ]


def average_precision(right: Bool[Tensor, "queries ranks"]) -> Float[Tensor, " queries"]:
    """Mean, over the right ones of a ranking, of the share of right ones down to their rank; 0 where there is none."""
    found = right.double().cumsum(1)
    ranks = torch.arange(1, right.shape[1] + 1, device=right.device)
    return (found / ranks * right).sum(1) / found[:, -1].clamp_min(1)


def random_average_precision(num_right: Float64[Tensor, " queries"], num_ranked: Float64[Tensor, " queries"]) -> Tensor:
    """What `average_precision` is on average over all orders, [queries], from the numbers of clips right and ranked."""
    longest = int(num_ranked.max())
    harmonic = torch.cat([torch.zeros(1), 1 / torch.arange(1, longest + 1)]).double().cumsum(0)
    share = harmonic[num_ranked.long().cpu()].to(num_ranked.device) / num_ranked.clamp_min(1)
    expected = share + (num_right - 1) / (num_ranked - 1).clamp_min(1) * (1 - share)
    return torch.where(num_right > 0, expected, 0.0)


def random_recall(
    num_right: Float64[Tensor, " queries"], num_ranked: Float64[Tensor, " queries"], k: int
) -> Float64[Tensor, " queries"]:
    """Chance that a random order has something right among the first k."""
    drawn = torch.arange(k, device=num_right.device)
    left = (num_ranked[:, None] - drawn).clamp_min(1)
    return 1 - ((left - num_right[:, None]) / left).clamp_min(0).prod(1)


def _measure(
    embeddings: Float[Tensor, "clips dim"], task: GalleryTask, ks: tuple[int, ...]
) -> tuple[dict[str, float], dict[str, float]]:
    """Each metric's mean over the queries, and what a random order would give."""
    device = embeddings.device
    unit = normalize(embeddings, dim=1)
    gallery = unit[torch.from_numpy(task.gallery).to(device)]
    query_classes, gallery_classes, barred = (
        torch.from_numpy(numbers).to(device) for numbers in (task.query_classes, task.gallery_classes, task.barred)
    )
    names = ["mAP", *(f"R@{k}" for k in ks)]
    measured, by_chance = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    with Progress("rank", len(task.queries), unit="queries") as progress:
        for start in range(0, len(task.queries), QUERIES_AT_ONCE):
            block = slice(start, start + QUERIES_AT_ONCE)
            similarity = unit[torch.from_numpy(task.queries[block]).to(device)] @ gallery.T
            right = query_classes[block, None] == gallery_classes
            ranked = torch.full((len(similarity),), len(gallery), device=device)
            if task.leave_one_out:
                own = barred[block, None] == barred
                similarity, right = similarity.masked_fill(own, -math.inf), right & ~own
                ranked = ranked - own.sum(1)
            order = similarity.argsort(dim=1, descending=True, stable=True)
            ordered = right.gather(1, order)
            num_right, num_ranked = right.sum(1).double(), ranked.double()
            measured["mAP"] += float(average_precision(ordered).sum())
            by_chance["mAP"] += float(random_average_precision(num_right, num_ranked).sum())
            for k in ks:
                measured[f"R@{k}"] += float(ordered[:, :k].any(1).sum())
                by_chance[f"R@{k}"] += float(random_recall(num_right, num_ranked, k).sum())
            progress.advance(len(similarity))
    count = len(task.queries)
    return {name: total / count for name, total in measured.items()}, {
        name: total / count for name, total in by_chance.items()
    }
