"""A linear classifier on single cells of an encoder's map over time: which word or phone is being said at a moment?"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from mmssl.errors import EvaluationError
from mmssl.evaluation.alignment import Entry, alignment_of, alignments, entries_at
from mmssl.evaluation.classification import classification_rows, constant_rows
from mmssl.evaluation.labeled import labeled_splits
from mmssl.evaluation.linear_probe import L2S, check_probe_settings, fit_probe, how_chosen, probe_detail
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.sound_cells import Window, heard, sound_encoder, windows_of
from mmssl.evaluation.subject import Subject
from mmssl.retrieval.embeddings import EmbeddingTable

STEP_SECONDS = 0.01
"""From one moment to the next, whatever the encoder, so that all are asked about the same moments."""


class Moments(NamedTuple):
    """Moments of a split that are asked about, window after window, and how many there were to draw them from.

    Args:
        windows: That hold them.
        steps: For each window, which steps from its begin.
        labels: For each window, the label at each of these.
        num_labeled: Moments of the split that have a label.
        num_unaligned: Rows of the split that have no alignment.
    """

    windows: list[Window]
    steps: list[Int[np.ndarray, " steps"]]
    labels: list[list[str]]
    num_labeled: int
    num_unaligned: int

    @property
    def num_rows(self) -> int:
        """Rows of the manifest that they are of."""
        return len({window.item.row_id for window in self.windows})


def frame_probe(
    subject: Subject,
    *,
    alignment: str = "words",
    train_split: str = "train",
    test_split: str = "test",
    max_train: int = 20_000,
    max_test: int = 100_000,
    l2s: tuple[float, ...] = L2S,
    validation_share: float = 0.2,
) -> list[ReportRow]:
    """Tells what is said at single moments by logistic regression on frozen, standardised cells of an encoder's map over time.

    Moments lie 10 ms apart from the begin of a window on; the cell that a moment falls into is what the classifier sees, and
    nothing around it. A moment's class is the label of the entry of the alignment that holds it. Moments that no entry holds are
    left out: silence is told by loudness alone, and much of it would hide how well the rest is told. Where the alignment gives
    silence an entry, it is a class like any other. The penalty is chosen as in `linear_probe`, the groups of the rows kept apart.

    Args:
        subject: Its clips of sound, and the manifest that they were decoded from.
        alignment: Column of the manifest, see `evaluation.alignment`; rows without one are left out and counted.
        train_split: Split that is learnt from.
        test_split: Split that is scored.
        max_train: Moments to learn from; where there are more, as many are drawn with equal odds, by the seed.
        max_test: Moments to score, likewise.
        l2s: Penalties to choose from; one alone is taken as it is.
        validation_share: Part of the groups that the penalty is chosen on.

    Returns:
        Top-1, top-5 from five classes on, and the mean recall of a class, over moments; then what guessing and the most
        frequent class give.

    Raises:
        EvaluationError: If there are no clips of sound with times, the encoder gives no map over time, no row has an alignment,
            one cannot be read, no moment falls into one, or the splits make no task, see `labeled_splits`.
        ConfigError: If the encoder is made for another sampling rate.

    Source:
        van den Oord et al. 2018, arXiv:1807.03748, section 3.1, there for phones.
    """
    check_probe_settings(l2s, validation_share)
    if min(max_train, max_test) < 1:
        raise ValueError(f"max_train {max_train} and max_test {max_test} must be at least 1")
    table, parts = labeled_cells(subject, alignment, {train_split: max_train, test_split: max_test})
    task = labeled_splits(table.labels, table.splits, table.groups, train_split=train_split, test_split=test_split)
    probe = fit_probe(table, task, l2s=l2s, validation_share=validation_share, seed=subject.seed, device=subject.device)
    train, test = parts[train_split], parts[test_split]
    protocol = ". ".join(
        [
            f"Logistic regression (L-BFGS) on single frozen, standardised cells of a map over time, each labelled by the entry "
            f"of {alignment!r} that holds its moment: {len(task.train)} moments of {train.num_rows} rows of {train_split!r} "
            f"(drawn from {train.num_labeled}, 10 ms apart), scored once on {len(task.test)} of {test.num_rows} rows of "
            f"{test_split!r} (from {test.num_labeled}); {how_chosen(probe, l2s)}; moments that no entry holds, such as silence, "
            "are left out",
            *(
                [f"{unaligned} rows have no alignment"]
                if (unaligned := train.num_unaligned + test.num_unaligned)
                else []
            ),
            *task.remarks("moments"),
        ]
    )
    detail = {**probe_detail(task, probe), "num_train_rows": train.num_rows, "num_test_rows": test.num_rows}
    scores = probe.scores(table.embeddings[task.test])
    return [
        *classification_rows(subject, "frame_probe", scores, task, protocol=f"{protocol}.", detail=detail),
        *constant_rows(subject, "frame_probe", task),
    ]


def labeled_cells(
    subject: Subject, alignment: str, most: Mapping[str, int]
) -> tuple[EmbeddingTable, dict[str, Moments]]:
    """The cells that labelled moments fall into, an item each, and what moments they are.

    Args:
        subject: See `frame_probe`.
        alignment: Column of the manifest.
        most: For each split, how many moments to draw at most.

    Raises:
        EvaluationError: See `frame_probe`, like the next.
        ConfigError: If the encoder is made for another sampling rate.
    """
    encoder, clips = sound_encoder(subject)
    aligned = alignments(subject.manifest, alignment)
    every = windows_of(encoder, clips)
    parts = {
        split: _moments([window for window in every if window.item.split == split], aligned, count, subject.seed)
        for split, count in most.items()
    }
    windows = [window for part in parts.values() for window in part.windows]
    if not windows:
        raise EvaluationError(
            f"no moment of the clips of {' and '.join(map(repr, most))} falls into an entry of {alignment!r}; its times must be "
            "seconds on the time axis of the files that the clips were decoded from"
        )
    steps = [of_window for part in parts.values() for of_window in part.steps]
    cells, ids = [], []
    for (window, found, _), chosen in zip(heard(subject, encoder, clips, windows), steps, strict=True):
        samples = moments_within(window.length_seconds)[chosen] * encoder.sample_rate
        places = np.minimum(samples / encoder.stride, len(found) - 1).astype(np.int64)
        cells.append(found[torch.from_numpy(places)])
        ids += [f"{window.item.id}@{window.frame}/{step}" for step in chosen]
    items = [window.item for window, chosen in zip(windows, steps, strict=True) for _ in chosen]
    table = EmbeddingTable.of_items(
        items,
        torch.cat(cells).numpy(),
        subject.encoder,
        clips,
        ids=tuple(ids),
        labels=tuple(label for part in parts.values() for of_window in part.labels for label in of_window),
    )
    return table, parts


def moments_within(length_seconds: float) -> Float[np.ndarray, " moments"]:
    """The moments of a window in seconds from its begin: the middles of steps of 10 ms."""
    return (np.arange(int(length_seconds / STEP_SECONDS + 1e-6)) + 0.5) * STEP_SECONDS


def _moments(windows: list[Window], aligned: dict[str, list[Entry] | None], most: int, seed: int) -> Moments:
    """The moments of some windows that have a label, or as many of them as there may be."""
    found: list[tuple[Window, Int[np.ndarray, " steps"], list[str]]] = []
    unaligned = set()
    for window in windows:
        entries = alignment_of(aligned, window.item.row_id)
        if entries is None:
            unaligned.add(window.item.row_id)
            continue
        places = entries_at(entries, window.begin_seconds + moments_within(window.length_seconds))
        steps = np.flatnonzero(places >= 0)
        found.append((window, steps, [entries[place].label for place in places[steps]]))
    ends = np.cumsum([len(steps) for _, steps, _ in found], dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    kept = np.ones(total, dtype=bool)
    if total > most:
        kept[:] = False
        kept[np.random.default_rng(seed).choice(total, most, replace=False)] = True
    drawn = Moments([], [], [], total, len(unaligned))
    for (window, steps, labels), end in zip(found, ends.tolist(), strict=True):
        chosen = np.flatnonzero(kept[end - len(steps) : end])
        if len(chosen):
            drawn.windows.append(window)
            drawn.steps.append(steps[chosen])
            drawn.labels.append([labels[place] for place in chosen])
    return drawn
