from pathlib import Path

import pytest

from mmssl.errors import EvaluationError
from mmssl.evaluation.evaluate import write_rows
from mmssl.evaluation.report_row import ReportRow
from mmssl.report.documents import with_tables
from mmssl.report.tables import markdown_table

DOCS = Path(__file__).parent.parent.parent / "docs"
ROW = ReportRow("run", "davis", "val", "lab", "propagation", "J&F", 0.5, 8, 0, "as said", "", "0.1")


def test_fills_each_place_from_its_rows(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", [ROW])
    document = tmp_path / "a.md"
    document.write_text("one\n<!-- rows: a.jsonl -->\nold\n<!-- end of rows -->\ntwo\n")
    filled = with_tables(document)
    assert filled == f"one\n<!-- rows: a.jsonl -->\n{markdown_table([ROW])}<!-- end of rows -->\ntwo\n"
    document.write_text(filled)
    assert with_tables(document) == filled


def test_rows_that_are_not_there_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("<!-- rows: a.jsonl -->\n<!-- end of rows -->\n")
    with pytest.raises(EvaluationError, match=r"a\.md: rows of .*a\.jsonl"):
        with_tables(tmp_path / "a.md")


@pytest.mark.parametrize("document", sorted(DOCS.glob("*.md")), ids=lambda path: path.name)
def test_tables_of_our_documents_are_those_of_their_rows(document: Path) -> None:
    assert with_tables(document) == document.read_text(encoding="utf-8")
