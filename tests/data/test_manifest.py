from pathlib import Path

import pytest

from mmssl.data.manifest import ManifestRow, read_manifest, row_from_json, row_to_json, write_manifest

ROWS = (
    ManifestRow(id="a", uri="x/a.mp4", media_type="video", start=0.5, end=1.0, streams=("video:h264", "audio:aac")),
    ManifestRow(
        id="b",
        uri="b.wav",
        media_type="audio",
        label="dög",
        sample_rate=8000,
        status="rejected",
        error_type="MediaError",
        error_message="empty",
        extra={"speaker": 3, "nested": {"x": [1, None, {"y": 2.5}]}, "nothing": None},
    ),
)


@pytest.mark.parametrize("name", ["m.jsonl", "m.parquet"])
def test_rows_come_back_as_they_were_written(tmp_path: Path, name: str) -> None:
    write_manifest(tmp_path / name, ROWS)
    assert read_manifest(tmp_path / name).rows == ROWS
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_json_of_a_row_comes_back() -> None:
    for row in ROWS:
        assert row_from_json(row_to_json(row)) == row
