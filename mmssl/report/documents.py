"""Tables in documents, generated from the report rows that are kept beside them.

    python -m mmssl.report.documents docs/*.md

A document holds `<!-- rows: results/NAME.jsonl -->` and `<!-- end of rows -->`; what stands between them is replaced by the
tables of the rows in that file, whose path is relative to the document.
"""

import re
import sys
from pathlib import Path

from mmssl.errors import EvaluationError
from mmssl.evaluation.evaluate import read_rows
from mmssl.files import atomic_file
from mmssl.report.tables import markdown_table

PLACE = re.compile(r"(<!-- rows: (\S+) -->\n).*?(<!-- end of rows -->)", re.DOTALL)


def with_tables(document: Path) -> str:
    """The document's text with its tables made anew.

    Raises:
        EvaluationError: If a file of rows that it names cannot be read.
    """

    def table(place: re.Match[str]) -> str:
        rows = document.parent / place[2]
        try:
            return f"{place[1]}{markdown_table(read_rows(rows))}{place[3]}"
        except (OSError, ValueError, TypeError) as error:
            raise EvaluationError(f"{document}: rows of {rows} cannot be read: {error}") from error

    return PLACE.sub(table, document.read_text(encoding="utf-8"))


def main() -> None:
    """Fills the tables of the documents that are named on the command line."""
    for document in map(Path, sys.argv[1:]):
        text = with_tables(document)
        with atomic_file(document) as partial:
            partial.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
