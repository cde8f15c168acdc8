"""The documents' tables are those of the rows beside them."""

import json
from pathlib import Path

import pytest

from mmssl.errors import ConfigError
from mmssl.evaluation.report_row import ReportRow
from mmssl.report.documents import refreshed

ROOT = Path(__file__).parents[2]
ROW = ReportRow("run", "davis", "val", "tracker", "propagation", "J&F", 0.634, 8, 0, "First frame.", "", "0.1.0")


def test_a_table_is_made_from_the_rows_and_the_rest_is_kept(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(ROW.to_json()) + "\n")
    document = tmp_path / "figures.md"
    document.write_text("before\n<!-- rows: rows.jsonl -->\nold\n<!-- end of rows -->\nafter\n")
    document.write_text(refreshed(document))
    text = document.read_text()
    assert "| tracker | **0.634** |" in text
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert refreshed(document) == text


def test_rows_that_are_not_there_are_named(tmp_path: Path) -> None:
    document = tmp_path / "figures.md"
    document.write_text("<!-- rows: gone.jsonl -->\n<!-- end of rows -->\n")
    with pytest.raises(ConfigError, match=r"gone\.jsonl"):
        refreshed(document)


@pytest.mark.parametrize(
    "document", sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")]), ids=lambda path: path.name
)
def test_documents_are_current(document: Path) -> None:
    assert refreshed(document) == document.read_text(encoding="utf-8"), "run `make docs`"
