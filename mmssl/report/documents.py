"""Keeps the tables of the documents equal to the rows that were measured: `python -m mmssl.report.documents docs/*.md`.

A document asks for a table by a pair of comments; what stands between them is written anew from the rows:

    <!-- rows: results/propagation.jsonl -->
    <!-- end of rows -->
"""

import re
import sys
from pathlib import Path

from mmssl.errors import ConfigError, MmsslError
from mmssl.evaluation.evaluate import read_rows
from mmssl.report.tables import markdown_table

_PLACE = re.compile(r"(<!-- rows: (\S+) -->\n).*?(<!-- end of rows -->)", re.DOTALL)


def refreshed(document: Path) -> str:
    """A document's text with every table made anew from its rows, which lie relative to the document.

    Raises:
        ConfigError: If the document or the rows it names cannot be read.
    """

    def table(match: re.Match[str]) -> str:
        rows = document.parent / match[2]
        if not rows.is_file():
            raise ConfigError(f"{document}: asks for the rows {match[2]}, but there is no file {rows}")
        return f"{match[1]}\n{markdown_table(read_rows(rows))}\n{match[3]}"

    try:
        return _PLACE.sub(table, document.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{document}: cannot be read: {error.strerror}") from error


def main() -> int:
    """Rewrites the documents given as arguments; prints those that changed."""
    try:
        for document in map(Path, sys.argv[1:]):
            text = refreshed(document)
            if text != document.read_text(encoding="utf-8"):
                document.write_text(text, encoding="utf-8")
                print(document)
    except MmsslError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
