"""Stages that embed and score some splits alone."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmssl.config import Recipe
from mmssl.data.manifest import ManifestRow, write_manifest
from mmssl.errors import MmsslError
from mmssl.evaluation.evaluate import ROWS, read_rows
from mmssl.retrieval.embeddings import EmbeddingTable
from mmssl.stages.run import run


def recipe(folder: Path, splits: list[str]) -> Recipe:
    rows = []
    for number in range(12):
        color = np.array([250, 10, 10] if number % 2 else [10, 10, 250]) - number
        Image.fromarray(np.full((8, 8, 3), color.clip(0), np.uint8)).save(folder / f"{number}.png")
        split = "test" if number < 8 else "train"
        rows.append(ManifestRow(f"r{number}", f"{number}.png", "image", label=str(number % 2), split=split))
    write_manifest(folder / "m.jsonl", rows)
    evaluation = {"name": "retrieval", "gallery_split": "test", "query_split": "test"}
    stages = {
        "clips": {"stage": "decode", "manifest": str(folder / "m.jsonl"), "size": 8},
        "embed": {"clips": "$clips", "encoders": ["pixels"], "splits": splits},
        "evaluate": {
            "clips": "$clips",
            "embeddings": "$embed",
            "encoders": ["pixels"],
            "evaluation": evaluation,
            "splits": splits,
            "baselines": False,
        },
    }
    return Recipe({"name": "splits", "stages": stages})


def test_only_what_is_scored_is_embedded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(recipe(tmp_path, ["test"]), out=tmp_path / "run", workers=1)
    table = EmbeddingTable.load(tmp_path / "run" / "embed" / "pixels")
    assert table.row_ids == tuple(f"r{number}" for number in range(8))
    rows = read_rows(tmp_path / "run" / "evaluate" / ROWS)
    assert {(row.metric, row.value, row.num_items) for row in rows if row.metric == "R@1" and not row.baseline} == {
        ("R@1", 1.0, 8)
    }
    assert capsys.readouterr().err.count("embed pixels") <= 2, "the evaluation takes the table"
    with pytest.raises(MmsslError, match="val"):
        run(recipe(tmp_path, ["val"]), out=tmp_path / "other", workers=1)
