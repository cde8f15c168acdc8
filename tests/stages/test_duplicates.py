"""Planted copies are found, those with the same bytes are told apart, and what is different is left alone."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmssl.data.building import build_manifest
from mmssl.data.edited_clips import EDITS
from mmssl.errors import ManifestError, StageError
from mmssl.retrieval.duplicates import calibration, groups_of, near_pairs
from mmssl.retrieval.embeddings import EmbeddingTable
from mmssl.stages.quick import find_duplicates
from mmssl.stages.quick_embed import ClipForm, embed_manifest


def photo(seed: int) -> Image.Image:
    """Large soft shapes of random colors."""
    coarse = np.random.default_rng(seed).integers(0, 255, (5, 5, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(24):
        photo(number).save(photos / f"{number:02}.png")
    shutil.copy(photos / "03.png", photos / "z exact.png")
    photo(3).resize((40, 40)).save(photos / "z small.jpg", quality=60)
    photo(7).crop((2, 2, 62, 62)).save(photos / "z trimmed.png")
    build_manifest(photos, tmp_path / "photos.jsonl", workers=1)
    form = ClipForm(num_frames=1, size=32)
    embed_manifest("pixels", tmp_path / "photos.jsonl", tmp_path / "run", form=form, workers=1)
    return tmp_path / "run"


def test_planted_copies_are_found(folder: Path) -> None:
    report, tables = find_duplicates(folder)
    assert [table.suffix for table in tables] == [".csv", ".jsonl"]
    rows = [json.loads(line) for line in tables[1].read_text().splitlines()]
    found = [(row["group"], Path(row["path"]).name, row["kind"]) for row in rows]
    assert found == [
        (1, "03.png", "first"),
        (1, "z exact.png", "exact"),
        (1, "z small.jpg", "near"),
        (2, "07.png", "first"),
        (2, "z trimmed.png", "near"),
    ]
    assert rows[1]["copy_of"] == rows[0]["id"]
    assert rows[1]["similarity"] == pytest.approx(1)
    assert rows[2]["copy_of"] is None
    assert [row["id"] for row in csv.DictReader(tables[0].open())] == [row["id"] for row in rows]
    assert "Groups, the largest first" in report.read_text()
    assert len(list((folder / "duplicates").glob("*/pictures/*.jpg"))) == 5


def test_a_threshold_may_be_given(folder: Path) -> None:
    _, tables = find_duplicates(folder, threshold=1.0)
    assert [json.loads(line)["kind"] for line in tables[1].read_text().splitlines()] == ["first", "exact"]


def test_a_folder_of_files_is_embedded_first_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(12):
        photo(number).save(photos / f"{number:02}.png")
    shutil.copy(photos / "03.png", photos / "again.png")
    (photos / "broken.jpg").write_bytes(b"no picture")
    (photos / "notes.txt").write_text("no picture either")
    report, tables = find_duplicates(photos, encoder="pixels", workers=1)
    assert report.is_relative_to(tmp_path / "cache")
    rows = [json.loads(line) for line in tables[1].read_text().splitlines()]
    assert [(Path(row["path"]).name, row["kind"]) for row in rows] == [("03.png", "first"), ("again.png", "exact")]
    assert sorted(path.name for path in photos.iterdir())[-3:] == ["again.png", "broken.jpg", "notes.txt"]
    capsys.readouterr()
    find_duplicates(photos, encoder="pixels", workers=1)
    assert "clips: current" in capsys.readouterr().err
    shutil.copy(photos / "05.png", photos / "05 again.png")
    _, tables = find_duplicates(photos, encoder="pixels", out=tmp_path / "out", workers=1)
    assert len(tables[1].read_text().splitlines()) == 4
    assert tables[1].is_relative_to(tmp_path / "out")
    with pytest.raises(StageError, match="leave encoder and out away"):
        find_duplicates(tmp_path / "out", encoder="pixels")
    with pytest.raises(ManifestError, match="no such folder"):
        find_duplicates(tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError, match="holds no media file"):
        find_duplicates(tmp_path / "empty")


def table(rows: np.ndarray, row_ids: tuple[str, ...]) -> EmbeddingTable:
    ids = tuple(f"{row}#{number}" for number, row in enumerate(row_ids))
    nothing = (None,) * len(rows)
    return EmbeddingTable(ids, rows.astype(np.float32), row_ids, nothing, nothing, row_ids, "made", "made", "made")


def test_pairs_beside_a_loop() -> None:
    rows = np.random.default_rng(0).normal(size=(40, 3))
    row_ids = tuple(str(number // 2) for number in range(40))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    expected = [
        [one, other]
        for one in range(40)
        for other in range(one + 1, 40)
        if unit[one] @ unit[other] >= 0.9 and row_ids[one] != row_ids[other]
    ]
    pairs, scores = near_pairs(table(rows, row_ids), 0.9)
    assert pairs.tolist() == expected
    np.testing.assert_allclose(scores, [unit[one] @ unit[other] for one, other in expected], atol=1e-5)


def test_groups_are_what_pairs_connect() -> None:
    assert groups_of(np.array([[0, 1], [4, 6], [1, 3], [7, 8]]), 9) == [[0, 1, 3], [4, 6], [7, 8]]
    assert groups_of(np.zeros((0, 2), np.int64), 4) == []


def test_the_threshold_passes_copies_and_no_strangers() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(500, 30))
    rows[1] = rows[0]
    near = [rows[:100] + 0.02 * random.normal(size=(100, 30)) for _ in EDITS]
    found = calibration(
        table(rows, tuple(map(str, range(500)))), range(100), [part.astype(np.float32) for part in near]
    )
    assert found.threshold == found.copies > 0.99
    assert 0.6 < found.strangers < 0.9
    far = [random.normal(size=(100, 30)).astype(np.float32)]
    blind = calibration(table(rows, tuple(map(str, range(500)))), range(100), far)
    assert blind.threshold == blind.strangers
    assert "may be missed" in blind.in_words()
