from pathlib import Path

import numpy as np
import soundfile

from tests.datasets.test_datasets import rows_of, run


def write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(80), 8000)


def test_fsdd(tmp_path: Path) -> None:
    for name in ("7_jackson_32", "0_lucas_4"):
        write(tmp_path / "fsdd" / "recordings" / f"{name}.wav")
    rows = rows_of("fsdd", tmp_path / "fsdd", "-o", tmp_path / "m" / "fsdd.jsonl")
    assert [(row.id, row.label, row.split, row.group) for row in rows] == [
        ("0_lucas_4", "0", "test", "0_lucas_4"),
        ("7_jackson_32", "7", "train", "7_jackson_32"),
    ]
    assert rows[1].extra == {"digit": "7", "speaker": "jackson", "take": 32}
    rows = rows_of("fsdd", tmp_path / "fsdd", "--by-speaker", "-o", tmp_path / "m" / "speakers.jsonl")
    assert [(row.split, row.group) for row in rows] == [(None, "lucas"), (None, "jackson")]
    write(tmp_path / "fsdd" / "hello.wav")
    assert "is not named DIGIT_SPEAKER_TAKE.wav" in run("fsdd", tmp_path / "fsdd").stderr


def test_esc50_listed_and_in_folders(tmp_path: Path) -> None:
    for name in ("1-100-A-0", "5-7-B-41"):
        write(tmp_path / "esc50" / "audio" / f"{name}.wav")
    (tmp_path / "esc50" / "meta").mkdir()
    (tmp_path / "esc50" / "meta" / "esc50.csv").write_text(
        "filename,fold,target,category,esc10,src_file,take\n"
        "1-100-A-0.wav,1,0,dog,True,100,A\n5-7-B-41.wav,5,41,sea_waves,False,7,B\n"
    )
    out = tmp_path / "m" / "a.jsonl"
    rows = rows_of("esc50", tmp_path / "esc50", "-o", out)
    assert [(row.label, row.split, row.group) for row in rows] == [("dog", "train", "100"), ("sea waves", "test", "7")]
    assert [row.label for row in rows_of("esc50", tmp_path / "esc50", "--esc10", "-o", out)] == ["dog"]
    write(tmp_path / "esc10" / "001 - Dog bark" / "3-100-A.ogg")
    rows = rows_of("esc50", tmp_path / "esc10", "--test-folds", "3", "-o", out)
    assert [(row.label, row.split, row.extra) for row in rows] == [("Dog bark", "test", {"fold": 3})]
