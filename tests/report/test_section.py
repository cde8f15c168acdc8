"""Sections come back from the disk as they were written."""

import json
import math
from pathlib import Path

import pytest

from mmssl.evaluation.report_row import ReportRow
from mmssl.report.section import (
    Damaged,
    Images,
    LinePlot,
    Picture,
    Reject,
    Rejects,
    Scores,
    Section,
    Series,
    Table,
    Text,
    Video,
    read_section,
    write_section,
)


def row(value: float | None = 0.5) -> ReportRow:
    return ReportRow(
        "run", "data", "all", "lab", "knn", "top1", value, 4, 0, "A sentence.", "", "0.1.0", detail={"k": 1}
    )


BLOCKS = (
    Text("words"),
    Table(("a", "b"), ((1, "x"), (None, 2.5), (True, "y")), title="t"),
    LinePlot("loss", "step", "nats", (Series("a", (0.0, 1.0), (1.5, None)),), log_y=True),
    Images((Picture("a.png", "caption", "match"), Picture("")), per_row=2),
    Video("a.mp4", "caption", "a.png"),
    Rejects((Reject("id", "MediaError", "why"),), 3),
    Scores((row(), row(None))),
)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.kind)
def test_every_block_comes_back(tmp_path: Path, block: Text) -> None:
    write_section(tmp_path, Section("Title", (block,)))
    assert read_section(tmp_path) == ("Title", [block])


def test_values_that_are_not_finite_become_gaps(tmp_path: Path) -> None:
    series = Series("a", (0.0, 1.0, 2.0), (math.nan, math.inf, 1.0))
    write_section(tmp_path, Section("Title", (LinePlot("p", "x", "y", (series,)), Scores((row(math.nan),)))))
    json.loads((tmp_path / "section.json").read_text(), parse_constant=pytest.fail)
    _, (plot, scores) = read_section(tmp_path)
    assert isinstance(plot, LinePlot)
    assert plot.series[0].y == (None, None, 1.0)
    assert isinstance(scores, Scores)
    assert scores.rows[0].value is None


def test_folder_without_section_has_no_blocks(tmp_path: Path) -> None:
    assert read_section(tmp_path) == (tmp_path.name, [])


def test_damage_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "section.json").write_bytes(b"\xff\xfe")
    title, blocks = read_section(tmp_path)
    assert title == tmp_path.name
    assert isinstance(blocks[0], Damaged)


def test_blocks_that_contradict_themselves_are_refused() -> None:
    with pytest.raises(ValueError, match="2 cells"):
        Table(("a", "b"), ((1,),))
    with pytest.raises(ValueError, match="2 x but 1 y"):
        Series("a", (0.0, 1.0), (0.0,))
    with pytest.raises(ValueError, match="mark"):
        Picture("a.png", mark="red")
