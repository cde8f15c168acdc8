from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
import torch

from mmssl.errors import EvaluationError
from mmssl.evaluation.abx import abx
from mmssl.evaluation.abx_triples import Kind, triple_errors
from mmssl.models.spectral import LogMel
from tests.evaluation.spoken import RATE, Clock, Sentences, listener
from tests.evaluation.toys import ColorClips, scores

LOG_MEL = {"sample_rate": RATE, "num_mels": 8}


def errors_by_loops(distances: torch.Tensor, kinds: list[Kind], *, across: bool) -> tuple[float, int]:
    """One triple at a time; then the mean over contexts, over speakers, over pairs of categories."""
    cells: dict[tuple[str, str, str, str, object], list[float]] = {}
    for a, b, x in product(range(len(kinds)), repeat=3):
        one, two, asked = kinds[a], kinds[b], kinds[x]
        if a == x or one.category != asked.category or two.category == one.category:
            continue
        if one.speaker != two.speaker or (one.speaker != asked.speaker) != across:
            continue
        if one.context != two.context or one.context != asked.context:
            continue
        near, far = float(distances[a, x]), float(distances[b, x])
        error = 1.0 if near > far else 0.5 if near == far else 0.0
        key = (one.category, two.category, one.speaker, asked.speaker, one.context)
        cells.setdefault(key, []).append(error)
    pairs = {key[:2] for key in cells}
    means = []
    for pair in pairs:
        speakers = {key[2:4] for key in cells if key[:2] == pair}
        of_speakers = [
            fmean(fmean(values) for key, values in cells.items() if key[:2] == pair and key[2:4] == both)
            for both in speakers
        ]
        means.append(fmean(of_speakers))
    return fmean(means), sum(len(values) for values in cells.values())


@pytest.mark.parametrize("across", [False, True])
def test_errors_are_those_of_loops_over_triples(across: bool) -> None:
    random = np.random.default_rng(0)
    kinds = [Kind(*(str(random.choice(list(names))) for names in ("abc", "st", "mn"))) for _ in range(30)]
    distances = torch.from_numpy(random.integers(0, 6, (30, 30))).float()
    distances = distances + distances.T
    found = triple_errors(distances, kinds, across=across)
    assert found is not None
    expected, num_triples = errors_by_loops(distances, kinds, across=across)
    assert found.mean == pytest.approx(expected)
    assert found.num_triples == num_triples


def test_a_case_by_hand() -> None:
    """X is the first or second a; the third item, the only b, lies at 2 from the first and at 4 from the second."""
    distances = torch.tensor([[0.0, 3.0, 2.0], [3.0, 0.0, 4.0], [2.0, 4.0, 0.0]])
    kinds = [Kind("a", "s"), Kind("a", "s"), Kind("b", "s")]
    found = triple_errors(distances, kinds, across=False)
    assert found is not None
    assert found.by_pair == {("a", "b"): 0.5}
    assert found.num_triples == 2
    assert triple_errors(distances, kinds, across=True) is None


def test_nothing_is_gained_by_another_unit_of_distance_and_all_is_lost_by_minus() -> None:
    distances = torch.rand(12, 12).triu(1)
    distances = distances + distances.T
    kinds = [Kind("ab"[place % 2], "st"[place // 2 % 2]) for place in range(12)]
    found = [triple_errors(scale * distances, kinds, across=True) for scale in (1.0, 7.0, -1.0)]
    assert all(errors is not None for errors in found)
    values = [errors.mean for errors in found if errors is not None]
    assert values[1] == values[0]
    assert values[2] == pytest.approx(1 - values[0])


def test_words_of_tones_are_told_and_time_alone_tells_little(tmp_path: Path) -> None:
    sentences = Sentences(splits=("test",))
    rows = abx(listener(LogMel(**LOG_MEL), sentences, out=tmp_path), speaker="speaker")
    assert list(scores(rows)) == ["within error", "across error"]
    assert max(scores(rows).values()) < 0.02
    assert scores(rows, "chance") == {"within error": 0.5, "across error": 0.5}
    assert rows[0].num_items == 36
    assert rows[0].detail["num_triples"] == 6 * 2 * (6 * 5) * 6
    assert not rows[0].is_score
    assert {file.name for file in tmp_path.iterdir()} == {"within.png", "across.png"}
    assert 0.3 < scores(abx(listener(Clock(), sentences), speaker="speaker", standardize=True))["within error"] < 0.7


def test_whole_recordings_by_their_label() -> None:
    sentences = Sentences()
    (row, _) = abx(listener(LogMel(**LOG_MEL), sentences), alignment=None)
    assert row.metric == "within error"
    assert row.num_items == 4
    assert "whole recordings" in row.protocol


def test_items_are_drawn_by_the_seed_and_entries_cut_off_are_counted() -> None:
    sentences = Sentences(splits=("test",))
    few = abx(listener(LogMel(**LOG_MEL), sentences), max_items=3)
    assert few[0].num_items == 9
    rows = [
        replace(row, extra={**row.extra, "words": [*row.extra["words"], [1.4995, 1.6, "late"]]})
        for row in sentences.rows
    ]
    cut = abx(listener(LogMel(**LOG_MEL), sentences, manifest=replace(sentences.manifest, rows=tuple(rows))))
    assert cut[0].protocol.endswith("12 entries that no window holds whole are left out.")
    assert cut[0].num_items == 30


def test_only_words_between_the_same_two_are_compared() -> None:
    sentences = Sentences(splits=("test",))
    neighbors = [
        {**row.extra, "words": [[0.5, 0.55, "the"], *row.extra["words"][:1], [1.45, 1.5, "end"]]}
        for row in sentences.rows
    ]
    rows = tuple(replace(row, extra=extra) for row, extra in zip(sentences.rows, neighbors, strict=True))
    subject = listener(LogMel(**LOG_MEL), sentences, manifest=replace(sentences.manifest, rows=rows))
    plain, framed = abx(subject)[0], abx(subject, context=True)[0]
    assert {word for pair in plain.detail["hardest"] for word in pair.split(" or ")} > {"the", "end"}
    assert {word for pair in framed.detail["hardest"] for word in pair.split(" or ")} <= {"low", "middle", "high"}


def test_what_makes_no_triple() -> None:
    sentences = Sentences()
    mel = LogMel(**LOG_MEL)
    with pytest.raises(EvaluationError, match="the clips are pictures"):
        abx(listener(mel, sentences, clips=ColorClips()))
    with pytest.raises(EvaluationError, match="no column 'who'"):
        abx(listener(mel, sentences), speaker="who")
    with pytest.raises(EvaluationError, match="items make no triple"):
        abx(listener(mel, Sentences(1, splits=("test",))))
