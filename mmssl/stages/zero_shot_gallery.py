"""The gallery page of a zero-shot classification, from its answers."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from mmssl.data.manifest import ManifestRow
from mmssl.evaluation.zero_shot_probe import ProbeScores
from mmssl.evaluation.zero_shot_scores import LARGEST_MATRIX, MOST_CONFUSED, ZeroShotScores
from mmssl.media.worker_pool import WorkerPool
from mmssl.progress import Progress
from mmssl.report.gallery import GalleryClass, GalleryItem, write_gallery
from mmssl.report.section import Cell, Reject, Rejects, Table
from mmssl.zeroshot.answers import NONE_OF_THESE, Answer
from mmssl.zeroshot.classes import ClassList
from mmssl.zeroshot.pictures import thumbnail

PICTURES = 1500
"""Most pictures in a page."""

PICTURES_A_CLASS = 60
LARGEST_TABLE = 25
THUMBNAIL_SECONDS = 60.0


def write_answer_gallery(
    path: Path,
    answers: Callable[[], Iterable[Answer]],
    classes: ClassList,
    *,
    title: str,
    model: str,
    num_templates: int,
    threshold: float | None,
    scores: ZeroShotScores | None,
    probe: ProbeScores | None = None,
    workers: int,
    command: str,
) -> None:
    """Writes the page: each class with its surest items, scores, and what was left out.

    Args:
        path: HTML file to write.
        answers: Gives all answers, each time it is called.
        classes: In the order of the page.
        title: Heading.
        model: Reference.
        num_templates: Prompts a name.
        threshold: Of 'none of these'; None where there is no such answer.
        scores: Where labels are known.
        probe: Of a linear probe, where one was asked for.
        workers: Processes that make thumbnails.
        command: That made the page.
    """
    counts: Counter[str] = Counter()
    rejects = []
    num_items = 0
    for answer in answers():
        num_items += 1
        if answer.answer is None:
            rejects.append(Reject(answer.id, answer.error_type or "", answer.error_message or ""))
        else:
            counts[answer.answer] += 1
    each = max(4, min(PICTURES_A_CLASS, PICTURES // max(1, len(counts))))
    chosen = _surest(answers(), each)
    flat = [answer for group in chosen.values() for answer in group][:PICTURES]
    pictures = dict(zip((answer.id for answer in flat), _thumbnails(flat, workers), strict=True)) if flat else {}
    names = [*classes.names, *([NONE_OF_THESE] if threshold is not None else [])]
    shown = [
        GalleryClass(
            name,
            counts[name],
            tuple(_item(answer, classes, pictures.get(answer.id, b"")) for answer in chosen.get(name, ())),
        )
        for name in names
    ]
    facts = {"model": model, "items": str(num_items - len(rejects)), "classes": str(len(classes.names))}
    facts["templates"] = str(num_templates)
    if threshold is not None:
        facts["none of these below"] = f"{threshold:.3f}"
    if rejects:
        facts["left out"] = str(len(rejects))
    tables = _tables(scores, probe) if scores is not None else []
    write_gallery(
        path,
        shown,
        title=title,
        facts=facts,
        tables=tables,
        rejects=Rejects(tuple(rejects), num_items),
        command=command,
    )


def _surest(answers: Iterable[Answer], each: int) -> dict[str, list[Answer]]:
    """The answers of each class with the highest probabilities, highest first; earlier ones first of equal ones."""
    heaps: dict[str, list[tuple[float, int, Answer]]] = {}
    for number, answer in enumerate(answers):
        if answer.answer is None:
            continue
        heap = heaps.setdefault(answer.answer, [])
        (heapq.heappush if len(heap) < each else heapq.heappushpop)(heap, (answer.probabilities[0], -number, answer))
    return {name: [entry[2] for entry in sorted(heap, reverse=True)] for name, heap in heaps.items()}


def _thumbnails(answers: Sequence[Answer], workers: int) -> list[bytes]:
    """A picture of each answer; nothing where it cannot be made any more."""
    rows = [
        ManifestRow(
            id=answer.id,
            uri=answer.path,
            media_type=answer.media_type,
            start=answer.start_seconds,
            end=answer.end_seconds,
        )
        for answer in answers
    ]
    pool = WorkerPool[ManifestRow, bytes](thumbnail, workers=workers, time_limit_seconds=THUMBNAIL_SECONDS)
    found = []
    with pool, Progress("gallery", len(rows), unit="pictures") as progress:
        for outcome in pool.map(rows):
            found.append(outcome.value or b"")
            progress.advance()
    return found


def _item(answer: Answer, classes: ClassList, picture: bytes) -> GalleryItem:
    known = classes.numbers.get(answer.label) if answer.label is not None else None
    moment = ""
    if answer.start_seconds is not None and answer.end_seconds is not None:
        moment = f"{answer.start_seconds:.1f} to {answer.end_seconds:.1f} s"
    return GalleryItem(
        name=answer.id,
        answer=str(answer.answer),
        probability=answer.probabilities[0],
        best=tuple(zip(answer.classes, answer.probabilities, strict=True)),
        moment=moment,
        label=answer.label,
        is_right=None if known is None else classes.numbers[answer.classes[0]] == known,
        picture=picture,
    )


def _tables(scores: ZeroShotScores, probe: ProbeScores | None) -> list[Table]:
    """Scores, then the confusion matrix, or the most frequent mistakes where it would be too large."""
    values: tuple[tuple[Cell, ...], ...] = (
        ("acc1", scores.acc1),
        ("acc5", scores.acc5),
        ("mean per-class recall", scores.mean_per_class_recall),
        ("expected calibration error", scores.ece),
        ("chance", scores.chance),
        ("answered with a class", scores.accepted),
    )
    if probe is not None:
        values += (
            (f"acc1 of a linear probe, learnt from {probe.num_train}", probe.acc1),
            ("its mean per-class recall", probe.mean_per_class_recall),
        )
    blocks = [Table(("score", "value"), values, title=f"Over {scores.num_items} items whose class is known")]
    if scores.num_classes <= min(LARGEST_TABLE, LARGEST_MATRIX):
        names = list(dict.fromkeys(name for row, column, _ in scores.confusion for name in (row, column)))
        counts = {(row, column): count for row, column, count in scores.confusion}
        rows: tuple[tuple[Cell, ...], ...] = tuple(
            (name, *(counts.get((name, other), 0) for other in names)) for name in names
        )
        blocks.append(Table(("label", *names), rows, title="Answers (columns) by label (rows)"))
    else:
        wrong = sorted((entry for entry in scores.confusion if entry[0] != entry[1]), key=lambda entry: -entry[2])
        blocks.append(Table(("label", "answer", "items"), tuple(wrong[:MOST_CONFUSED]), title="Most frequent mistakes"))
    return blocks
