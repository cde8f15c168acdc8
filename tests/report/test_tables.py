"""Rows as tables: what stands where, what is bold, what is escaped."""

from dataclasses import replace

from mmssl.evaluation.report_row import ReportRow
from mmssl.report.scores import score_tables, shown
from mmssl.report.tables import markdown_table

ROW = ReportRow("run", "davis", "val", "tracker", "propagation", "J&F", 0.634, 8, 0, "First frame.", "", "0.1.0")
ROWS = [
    ROW,
    replace(ROW, metric="F", value=0.5),
    replace(ROW, encoder="lab", value=0.66, baseline=True),
    replace(ROW, encoder="other|<b>", value=None),
    replace(
        ROW, evaluation="knn", metric="top1@k=20", value=0.25, encoder="random:a_b", baseline=True, protocol="Votes."
    ),
]


def test_markdown() -> None:
    assert markdown_table(ROWS) == (
        "**propagation** on davis, split val, 8 items\n"
        "\n"
        "| encoder | J&F | F |\n"
        "| --- | ---: | ---: |\n"
        "| tracker | 0.634 | 0.500 |\n"
        "| other\\|&lt;b> |  |  |\n"
        "| *lab* | **0.660** |  |\n"
        "\n"
        "- First frame.\n"
        "\n"
        "**knn** on davis, split val, 8 items\n"
        "\n"
        "| encoder | top1@k=20 |\n"
        "| --- | ---: |\n"
        "| *random:a\\_b* | **0.250** |\n"
        "\n"
        "- Votes.\n"
    )


def test_best_is_never_a_baseline() -> None:
    propagation, knn = score_tables(ROWS)
    assert propagation.best is not None
    assert propagation.best.encoder == "tracker"
    assert propagation.best_baseline is not None
    assert propagation.best_baseline.encoder == "lab"
    assert knn.best is None
    assert knn.num_items == 8


def test_what_only_describes_a_picture_is_not_ranked() -> None:
    fact = replace(ROW, evaluation="projection", metric="variance in the plane", is_score=False)
    (table,) = score_tables([fact, replace(fact, encoder="pixels", value=0.3, baseline=True)])
    assert not table.ranked
    assert table.highest is None
    assert "| tracker | 0.634 |" in markdown_table([fact])


def test_rows_of_one_encoder_as_score_and_as_baseline_stay_apart() -> None:
    (table,) = score_tables([replace(ROW, value=0.9), replace(ROW, value=0.1, baseline=True)])
    assert [(line.baseline, line.main) for line in table.lines] == [(False, 0.9), (True, 0.1)]


def test_shown() -> None:
    assert [shown(value) for value in (None, 0.12345, -0.5, 12.345, 1234.5)] == [
        "",
        "0.123",
        "-0.500",
        "12.3",
        "1234",
    ]


def test_sequences_and_failures_come_from_the_details() -> None:
    detail = {"sequences": {"dog": 0.7, "camel": 0.5}, "failed": {"bus": "DecodeError: is truncated"}}
    (table,) = score_tables(
        [replace(ROW, detail=detail), replace(ROW, encoder="lab", detail={"sequences": {"dog": 0.6}})]
    )
    assert table.sequences == {"dog": (0.7, 0.6), "camel": (0.5, None)}
    assert table.failed == {"bus": "DecodeError: is truncated"}
