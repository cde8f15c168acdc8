from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mmssl.errors import ConfigError, EvaluationError
from mmssl.evaluation.alignment import Entry, alignments, entries_at
from mmssl.evaluation.frame_probe import frame_probe, labeled_cells
from mmssl.models.spectral import MFCC, LogMel
from tests.evaluation.spoken import RATE, Clock, Sentences, listener
from tests.evaluation.toys import ColorClips, scores

LOG_MEL = {"sample_rate": RATE, "num_mels": 8}


MOST = {"train": 10_000, "test": 10_000}


@pytest.mark.parametrize("stride", [RATE // 100, RATE // 25])
def test_cells_are_labelled_by_what_is_said_in_them(stride: int) -> None:
    sentences = Sentences()
    table, parts = labeled_cells(listener(Clock(stride=stride), sentences), "words", MOST)
    expected = []
    for split in ("train", "test"):
        for row in sentences.rows:
            for step in range(100 if row.split == split else 0):
                time = 0.5 + (step + 0.5) / 100
                cell = int((step + 0.5) / 100 * RATE / stride)
                for begin, end, word in row.extra["words"]:
                    if begin <= time < end:
                        expected.append((row.id, cell, word, split))
    found = zip(table.row_ids, table.embeddings[:, 0].astype(int).tolist(), table.labels, table.splits, strict=True)
    assert list(found) == expected
    assert parts["test"].num_labeled == sum(split == "test" for *_, split in expected)


def test_words_of_tones_are_told_and_time_alone_tells_little() -> None:
    sentences = Sentences()
    heard = scores(frame_probe(listener(LogMel(**LOG_MEL), sentences), l2s=(0.01, 0.1)))
    assert heard["top1"] > 0.95
    assert heard["class recall"] > 0.95
    rows = frame_probe(listener(Clock(), sentences), l2s=(0.1,))
    assert scores(rows)["top1"] < 0.7
    assert scores(rows, "chance") == {"top1": pytest.approx(1 / 3), "class recall": pytest.approx(1 / 3)}
    assert scores(rows, "majority")["class recall"] == pytest.approx(1 / 3)
    assert "'words'" in rows[0].protocol
    assert "of 8 rows of 'train'" in rows[0].protocol
    assert "of 4 rows of 'test'" in rows[0].protocol


def test_the_penalty_is_chosen_on_rows_kept_apart() -> None:
    (row, *_) = frame_probe(listener(LogMel(**LOG_MEL), Sentences()), l2s=(0.01, 10.0))
    assert "kept apart by groups" in row.protocol
    assert 0 < row.detail["num_validation"] < row.detail["num_train"]


def test_moments_are_drawn_by_the_seed_and_not_by_the_encoder() -> None:
    sentences = Sentences()
    few = {"train": 50, "test": 20}
    table, parts = labeled_cells(listener(Clock(), sentences), "words", few)
    assert len(table) == 70
    mfcc = MFCC(sample_rate=RATE, num_mels=8, num_coefficients=4)
    assert labeled_cells(listener(mfcc, sentences), "words", few)[0].ids == table.ids
    assert labeled_cells(listener(Clock(), sentences, seed=2), "words", few)[0].ids != table.ids
    everything, _ = labeled_cells(listener(Clock(), sentences), "words", MOST)
    assert set(table.ids) < set(everything.ids)
    (row, *_) = frame_probe(listener(Clock(), sentences), l2s=(0.1,), max_train=50, max_test=20)
    assert row.num_items == 20
    assert f"drawn from {parts['train'].num_labeled}, 10 ms apart" in row.protocol


def test_rows_without_an_alignment_are_left_out_and_counted() -> None:
    sentences = Sentences()
    sentences.rows[0] = replace(sentences.rows[0], extra={"speaker": "ann"})
    rows = frame_probe(listener(LogMel(**LOG_MEL), sentences), l2s=(0.1,))
    assert "1 rows have no alignment" in rows[0].protocol
    assert "of 7 rows of 'train'" in rows[0].protocol


def test_what_cannot_be_probed() -> None:
    sentences = Sentences()
    mel = LogMel(**LOG_MEL)
    with pytest.raises(EvaluationError, match="column of a manifest"):
        frame_probe(listener(mel, sentences, manifest=None))
    with pytest.raises(EvaluationError, match=r"no row has an alignment in a column 'phones'.*\['speaker', 'words'\]"):
        frame_probe(listener(mel, sentences), alignment="phones")
    with pytest.raises(EvaluationError, match="the clips are pictures"):
        frame_probe(listener(mel, sentences, clips=ColorClips()))
    with pytest.raises(ConfigError, match="2000 Hz"):
        frame_probe(listener(LogMel(sample_rate=16000), sentences))
    with pytest.raises(EvaluationError, match="has no row 'r11'"):
        frame_probe(listener(mel, sentences, manifest=replace(sentences.manifest, rows=tuple(sentences.rows[:-1]))))
    late = [replace(row, extra={"words": [[50.0, 51.0, "late"]]}) for row in sentences.rows]
    with pytest.raises(EvaluationError, match=r"no moment .* falls into an entry"):
        frame_probe(listener(mel, sentences, manifest=replace(sentences.manifest, rows=tuple(late))))


def test_entries_hold_their_begin_and_not_their_end() -> None:
    entries = [Entry(0.1, 0.2, "a"), Entry(0.2, 0.3, "b"), Entry(0.5, 0.6, "c")]
    times = np.array([0.0, 0.1, 0.19, 0.2, 0.3, 0.4, 0.5, 0.6, 9.0])
    assert entries_at(entries, times).tolist() == [-1, 0, 0, 1, -1, -1, 2, -1, -1]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("bin blue", "not a list"),
        ([["0.1", "bin"]], r"such as \[0.5, 0.8, 'bin'\]"),
        ([[0.3, 0.2, "bin"]], "does not begin before it ends"),
        ([[0.1, 0.3, "bin"], [0.2, 0.4, "blue"]], "must be in order and not overlap"),
    ],
)
def test_alignments_that_cannot_be_read(value: Any, message: str) -> None:
    sentences = Sentences()
    sentences.rows[1] = replace(sentences.rows[1], extra={"words": value})
    with pytest.raises(EvaluationError, match=f"r1: .*{message}"):
        alignments(sentences.manifest, "words")
