"""ABX: is a word, a phone or a digit nearer to another of its kind than to one of another kind? No classifier is fitted."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mmssl.data.dataset import ClipSource
from mmssl.errors import EvaluationError
from mmssl.evaluation.abx_triples import Errors, Kind, triple_errors
from mmssl.evaluation.alignment import alignment_of, alignments
from mmssl.evaluation.columns import values_by_row
from mmssl.evaluation.labeled import shuffled
from mmssl.evaluation.linear_probe import standardization
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.sound_cells import Window, heard, sound_encoder, windows_of
from mmssl.evaluation.subject import Subject
from mmssl.functional.warping import warped_distances
from mmssl.models.audio_encoder import AudioEncoder

MOST_DRAWN = 60
NUM_HARDEST = 10
_TOLERANCE_SECONDS = 1e-3


class Item(NamedTuple):
    """A piece of a window.

    Args:
        name: Unique.
        kind: What is said, by whom, and among what.
        window: Number of the window that holds it.
        span_seconds: Where in the window; all of it that is heard where None.
    """

    name: str
    kind: Kind
    window: int
    span_seconds: tuple[float, float] | None


def abx(
    subject: Subject,
    *,
    alignment: str | None = "words",
    split: str = "test",
    speaker: str | None = None,
    context: bool = False,
    max_items: int = 10,
    standardize: bool = True,
) -> list[ReportRow]:
    """Shares of triples in which an item X lies nearer to B, of another category, than to A, of its own.

    Items are the entries of an alignment, or whole recordings, as cells of an encoder's map over time; the distance is the mean
    angle between cells along the best alignment in time, see `functional.warping`. Within speakers, A, B and X are said by the
    same; across, X is said by another. Shares are averaged as in `triple_errors`. Work grows with the square of the items.

    Args:
        subject: Its clips of sound, and the manifest that they were decoded from.
        alignment: Column of the manifest that items are cut by, see `evaluation.alignment`; null for whole recordings, whose
            category is their label. Entries that no window holds whole are left out and counted.
        split: That is scored; all clips where none is of it.
        speaker: Column of the manifest that says who speaks; all are one speaker where not given.
        context: Whether A, B and X must stand between the same two entries of the alignment, as is usual for phones.
        max_items: Of a category, speaker and context; where there are more, as many are drawn by the seed. A, B and X are all
            drawn from these, so that no combination has more than max_items ** 3 triples.
        standardize: Whether each channel is brought to a mean of 0 and a deviation of 1 over all items' cells first, so that an
            offset that all share does not make all angles small.

    Returns:
        The error within speakers, across them where there are several, and what guessing gives: 0.5.

    Raises:
        EvaluationError: If there are no clips of sound with times, the encoder gives no map over time, the manifest, an alignment
            or the column of speakers is missing, or there is no triple.
        ConfigError: If the encoder is made for another sampling rate.

    Source:
        Schatz et al. 2013, "Evaluating speech features with the minimal-pair ABX task"; as Kahn et al. 2020, arXiv:1912.07875.
    """
    if max_items < 2:
        raise ValueError(f"max_items must be at least 2, an A and an X, got {max_items}")
    encoder, clips = sound_encoder(subject)
    every = windows_of(encoder, clips)
    windows = [window for window in every if window.item.split == split] or every
    who = _speakers(subject, windows, speaker)
    found, num_cut = (
        (_recordings(windows, who), 0)
        if alignment is None
        else _entries(subject, windows, who, alignment=alignment, context=context)
    )
    items = _drawn(found, max_items, subject.seed)
    kinds = [item.kind for item in items]
    sequences = _sequences(subject, encoder, clips, windows, items)
    if standardize and sequences:
        mean, deviation = standardization(torch.cat(sequences))
        sequences = [(cells - mean) / deviation for cells in sequences]
    distances = _distances(sequences, kinds)
    of_items = _in_words(kinds, alignment=alignment, context=context, max_items=max_items)
    cut_off = f" {num_cut} entries that no window holds whole are left out." if num_cut else ""
    rows: list[ReportRow] = []
    for across in (False, True):
        errors = triple_errors(distances, kinds, across=across)
        if errors is None:
            continue
        where = "across" if across else "within"
        if subject.out is not None:
            draw_pairs(subject.out / f"{where}.png", errors)
        protocol = (
            f"{errors.num_triples} triples of {of_items}, X {'of another speaker than' if across else 'of the speaker of'} A and "
            "B; an error where X is nearer to B, of another category, than to A, by the mean angle between "
            f"{'standardised ' if standardize else ''}cells along the path of dynamic time warping; mean over contexts, then "
            f"speakers, then pairs of categories; lower is better.{cut_off}"
        )
        for name, value, said in ((None, errors.mean, protocol), ("chance", 0.5, "A guess.")):
            rows.append(
                subject.row(
                    "abx",
                    f"{where} error",
                    value,
                    split="all" if windows is every else split,
                    num_items=len(items),
                    protocol=said,
                    encoder=name,
                    detail=_detail(errors) if name is None else None,
                    is_score=False,
                )
            )
    if not rows:
        raise EvaluationError(
            f"{len(items)} items make no triple: two of one category and one of another, by one speaker"
            f"{' and in one context' if context else ''}, are needed"
        )
    return rows


def draw_pairs(path: Path, errors: Errors) -> None:
    """The error of each pair of categories, of up to 60 of them."""
    from matplotlib.figure import Figure

    names = sorted({category for pair in errors.by_pair for category in pair})[:MOST_DRAWN]
    values = [[errors.by_pair.get((a, b), float("nan")) for b in names] for a in names]
    side = 2.0 + 0.16 * len(names)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(values, vmin=0.0, vmax=0.5, cmap="magma")
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_xlabel("B")
    axes.set_ylabel("A and X")
    figure.colorbar(image, label="share of errors", shrink=0.8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _speakers(subject: Subject, windows: Sequence[Window], column: str | None) -> dict[str, str]:
    """Who speaks in each row; rows of which nothing is said are left out."""
    if column is None:
        return {window.item.row_id: "" for window in windows}
    found = values_by_row(subject.manifest, column)
    return {row_id: value for row_id, value in found.items() if value is not None}


def _recordings(windows: Sequence[Window], speakers: Mapping[str, str]) -> list[Item]:
    """The first window of each row with a label."""
    items: dict[str, Item] = {}
    for place, window in enumerate(windows):
        row_id, label = window.item.row_id, window.item.label
        if label is not None and row_id in speakers:
            items.setdefault(row_id, Item(row_id, Kind(label, speakers[row_id]), place, None))
    return list(items.values())


def _entries(
    subject: Subject, windows: Sequence[Window], speakers: Mapping[str, str], *, alignment: str, context: bool
) -> tuple[list[Item], int]:
    """Each entry of the rows' alignments in the first window that holds it whole, and how many none holds."""
    aligned = alignments(subject.manifest, alignment)
    items: dict[str, Item] = {}
    every = set()
    for place, window in enumerate(windows):
        row_id = window.item.row_id
        entries = alignment_of(aligned, row_id) or [] if row_id in speakers else []
        for number, entry in enumerate(entries):
            name = f"{row_id}/{number}"
            every.add(name)
            begin, end = entry.begin_seconds - window.begin_seconds, entry.end_seconds - window.begin_seconds
            if begin >= -_TOLERANCE_SECONDS and end <= window.length_seconds + _TOLERANCE_SECONDS:
                around = None
                if context:
                    neighbors = [
                        entries[near].label if 0 <= near < len(entries) else None for near in (number - 1, number + 1)
                    ]
                    around = tuple(neighbors)
                items.setdefault(name, Item(name, Kind(entry.label, speakers[row_id], around), place, (begin, end)))
    return list(items.values()), len(every) - len(items)


def _drawn(items: Sequence[Item], most: int, seed: int) -> list[Item]:
    """At most so many items of each category, speaker and context, in order of their windows."""
    order = shuffled([item.name for item in items], seed=seed, purpose="abx items")
    taken: Counter[Kind] = Counter()
    kept = []
    for place in order.tolist():
        taken[items[place].kind] += 1
        if taken[items[place].kind] <= most:
            kept.append(items[place])
    return sorted(kept, key=lambda item: item.window)


def _sequences(
    subject: Subject, encoder: AudioEncoder, clips: ClipSource, windows: Sequence[Window], items: Sequence[Item]
) -> list[Float[Tensor, "_ dim"]]:
    """The cells of each item: those whose middle it holds, one at least."""
    places = sorted({item.window for item in items})
    maps = dict(zip(places, heard(subject, encoder, clips, [windows[place] for place in places]), strict=True))
    sequences = []
    for item in items:
        _, cells, num_heard = maps[item.window]
        if item.span_seconds is None:
            first, last = 0, num_heard
        else:
            edges = (seconds * encoder.sample_rate / encoder.stride for seconds in item.span_seconds)
            first, last = (min(max(ceil(edge - 0.5), 0), len(cells)) for edge in edges)
            first = min(first, len(cells) - 1)
        sequences.append(cells[first : max(last, first + 1)].clone())
    return sequences


def _distances(sequences: Sequence[Float[Tensor, "_ dim"]], kinds: Sequence[Kind]) -> Float[Tensor, "items items"]:
    """Between all items of one context; those of different contexts are never compared."""
    found = torch.full((len(kinds), len(kinds)), torch.nan)
    of_context: dict[Hashable, list[int]] = defaultdict(list)
    for place, kind in enumerate(kinds):
        of_context[kind.context].append(place)
    for places in of_context.values():
        lengths = torch.tensor([len(sequences[place]) for place in places])
        some = torch.tensor(places)
        found[some[:, None], some] = warped_distances(torch.cat([sequences[place] for place in places]), lengths)
    return found


def _in_words(kinds: Sequence[Kind], *, alignment: str | None, context: bool, max_items: int) -> str:
    what = "whole recordings, by their label" if alignment is None else f"entries of {alignment!r}"
    categories, speakers = {kind.category for kind in kinds}, {kind.speaker for kind in kinds}
    by_whom = f"{len(speakers)} speakers" if len(speakers) > 1 else "one speaker"
    return (
        f"{len(kinds)} {what}{', all three between the same two' if context else ''} (at most {max_items} of a category, speaker "
        f"and context; {len(categories)} categories, {by_whom})"
    )


def _detail(errors: Errors) -> dict[str, Any]:
    hardest = sorted(errors.by_pair, key=lambda pair: -errors.by_pair[pair])[:NUM_HARDEST]
    return {
        "num_triples": errors.num_triples,
        "by_speaker": {speaker: error for speaker, error in errors.by_speaker.items() if speaker},
        "hardest": {f"{a} or {b}": errors.by_pair[a, b] for a, b in hardest},
    }
