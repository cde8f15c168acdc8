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


def test_asterisk(tmp_path: Path) -> None:
    for name in ("fr_CA_f_June/digits/1", "ru_RU_f_IvrvoiceRU/hello", "other/hello"):
        write(tmp_path / "sounds" / f"{name}.wav")
    rows = rows_of("asterisk", tmp_path, "-o", tmp_path / "m" / "a.jsonl")
    assert [(row.id, row.label, row.group) for row in rows] == [
        ("fr_CA_f_June/digits/1", "fr", "fr_CA_f_June"),
        ("ru_RU_f_IvrvoiceRU/hello", "ru", "ru_RU_f_IvrvoiceRU"),
    ]
    assert rows[0].extra == {"language": "fr", "country": "CA", "sex": "f", "voice": "June", "prompt": "digits/1"}
    assert "holds no recording in a voice's folder" in run("asterisk", tmp_path / "sounds" / "other").stderr


def test_speech_commands(tmp_path: Path) -> None:
    root = tmp_path / "speech_commands_v0.02"
    names = ("yes/0a7c_nohash_0", "yes/1b_nohash_1", "no/0a7c_nohash_0", "no/2c_nohash_0")
    for name in (*names, "_background_noise_/rain"):
        write(root / f"{name}.wav")
    (root / "validation_list.txt").write_text("yes/1b_nohash_1.wav\n")
    assert "has no testing_list.txt" in run("speech_commands", root).stderr
    (root / "testing_list.txt").write_text("no/2c_nohash_0.wav\n")
    rows = rows_of("speech_commands", root, "-o", tmp_path / "m" / "a.jsonl")
    assert sorted((row.id, row.label, row.split, row.group) for row in rows) == [
        ("no/0a7c_nohash_0", "no", "train", "0a7c"),
        ("no/2c_nohash_0", "no", "test", "2c"),
        ("yes/0a7c_nohash_0", "yes", "train", "0a7c"),
        ("yes/1b_nohash_1", "yes", "val", "1b"),
    ]


def test_librispeech(tmp_path: Path) -> None:
    for part, speaker in (("train-clean-100", "19"), ("test-clean", "61")):
        folder = tmp_path / "LibriSpeech" / part / speaker / "7"
        for number in range(2):
            write(folder / f"{speaker}-7-000{number}.flac")
        lines = [f"{speaker}-7-000{number} SENTENCE NUMBER {number}\n" for number in range(2)]
        (folder / f"{speaker}-7.trans.txt").write_text("".join(lines))
    out = tmp_path / "m" / "a.jsonl"
    rows = rows_of("librispeech", tmp_path / "LibriSpeech", "-o", out)
    assert [(row.id, row.split, row.group) for row in rows] == [
        ("61-7-0000", "test", "61"),
        ("61-7-0001", "test", "61"),
        ("19-7-0000", "train", "19"),
        ("19-7-0001", "train", "19"),
    ]
    assert rows[3].caption == "SENTENCE NUMBER 1"
    assert rows[3].extra == {"speaker": "19", "chapter": "7", "part": "train-clean-100"}
    rows = rows_of("librispeech", tmp_path / "LibriSpeech", "--every", "2", "-o", out)
    assert [row.split for row in rows] == ["train", "test"] * 2
    write(tmp_path / "LibriSpeech" / "test-clean" / "61" / "7" / "61-7-0009.flac")
    assert "has no line in 61-7.trans.txt" in run("librispeech", tmp_path / "LibriSpeech").stderr
