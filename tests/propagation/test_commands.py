"""The command and the script are the same function."""

import os
import subprocess
import sys
from pathlib import Path

from torch import Tensor

from mmssl.propagation.exchange import read_labels

Squares = tuple[Path, Path, list[Tensor]]
SCRIPT = Path(__file__).parents[2] / "tools" / "propagate.py"


def write_points(path: Path, x: str = "12.5") -> Path:
    path.write_text(f"frame,object,point,x,y\n3,nose,point,{x},12\n")
    return path


def run(*arguments: str) -> tuple[subprocess.CompletedProcess[str], subprocess.CompletedProcess[str]]:
    """The command and the script with the same arguments, but for `OUT`, which is a folder of its own for each."""
    starts = (["-c", "from mmssl.cli import main; main()", "propagate"], [str(SCRIPT)])
    processes = [
        subprocess.Popen(
            [sys.executable, *start, *(each.replace("OUT", name) for each in arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=SCRIPT.parents[1],
            env={**os.environ, "PYTHONPATH": str(SCRIPT.parents[1])},
        )
        for name, start in zip(("command", "script"), starts, strict=True)
    ]
    done = [(each, each.communicate(timeout=120)) for each in processes]
    first, second = (subprocess.CompletedProcess(each.args, each.returncode, *texts) for each, texts in done)
    return first, second


def test_command_and_script_write_the_same(squares: Squares, tmp_path: Path) -> None:
    labels = write_points(tmp_path / "points.csv")
    shared = [str(squares[0]), "--labels", str(labels), "--save-as", "points_csv", "--no-overlay"]
    for name, done in zip(("command", "script"), run(*shared, "-o", str(tmp_path / "OUT")), strict=True):
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == str(tmp_path / name)
    for name in ("labels.points_csv.csv", "objects.csv", "frames.csv", "review.csv", "summary.json"):
        assert (tmp_path / "command" / name).read_bytes() == (tmp_path / "script" / name).read_bytes(), name
    frames = read_labels(tmp_path / "script" / "labels.points_csv.csv", size=(48, 80), num_frames=11).frames
    assert len(frames) == 11


def test_bad_labels_are_one_line_and_exit_2(squares: Squares, tmp_path: Path) -> None:
    labels = write_points(tmp_path / "points.csv", x="nan")
    for done in run(str(squares[0]), "--labels", str(labels), "-o", str(tmp_path / "OUT")):
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "points.csv" in done.stderr
        assert "nan" in done.stderr
    assert not (tmp_path / "command").exists()
    assert not (tmp_path / "script").exists()


def test_an_encoder_without_weights_cannot_be_adapted(squares: Squares, tmp_path: Path) -> None:
    labels = write_points(tmp_path / "points.csv")
    for done in run(
        str(squares[0]), "--labels", str(labels), "--encoder", "lab", "--adapt", "-o", str(tmp_path / "OUT")
    ):
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "has no weights to adapt" in done.stderr


def test_bad_labels_are_told_before_anything_is_trained(squares: Squares, tmp_path: Path) -> None:
    labels = tmp_path / "points.csv"
    labels.write_text(
        "frame,time_seconds,object,point,x,y,confidence\n999,0.0,nose,nose,9.0,9.0,1.0\n", encoding="utf-8"
    )
    for done in run(str(squares[0]), "--labels", str(labels), "--adapt", "-o", str(tmp_path / "OUT")):
        assert done.returncode == 2
        assert "999" in done.stderr
    assert not (tmp_path / "command").exists()
    assert not (tmp_path / "script").exists()


def test_command_and_script_adapt_alike(squares: Squares, tmp_path: Path) -> None:
    labels = write_points(tmp_path / "points.csv")
    encoder = ["--encoder", "random:small_resnet:width=4", "--adapt", "--no-overlay"]
    for done in run(str(squares[0]), "--labels", str(labels), *encoder, "-o", str(tmp_path / "OUT")):
        assert done.returncode == 0, done.stderr
    for name in ("objects.csv", "adapted/checkpoint/encoder.safetensors", "adapted/metrics.jsonl"):
        assert (tmp_path / "command" / name).read_bytes() == (tmp_path / "script" / name).read_bytes(), name
    assert "adapted to" in (tmp_path / "command" / "summary.json").read_text()
