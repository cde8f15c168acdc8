import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mmssl.cli.retrieval import print_scores
from mmssl.evaluation.report_row import ReportRow

ROOT = Path(__file__).parent.parent


def mmssl(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Runs the command in a process of its own."""
    script = "from mmssl.cli import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "TERM": "dumb"}
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, env=environment, timeout=120
    )


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    script = """
import sys
from mmssl.cli import main
try:
    main("--help")
except SystemExit:
    print(sorted({"torch", "numpy", "av", "faiss", "timm"} & set(sys.modules)))
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "TERM": "dumb"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    for command in (
        "run",
        "check",
        "list",
        "manifest",
        "evaluate",
        "embed",
        "index",
        "search",
        "duplicates",
        "propagate",
        "zeroshot",
        "export",
        "report",
    ):
        assert f" {command} " in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


COMMANDS = (
    "run|check|list|manifest build|manifest check|manifest convert|evaluate|embed|index|search|duplicates|propagate"
)


@pytest.mark.parametrize("command", [*COMMANDS.split("|"), "zeroshot", "export", "report"])
def test_every_command_teaches_by_example(command: str) -> None:
    done = mmssl(*command.split(), "--help")
    assert done.returncode == 0
    assert f"mmssl {command} " in done.stdout.split("Example", 1)[1]


def test_bad_input_is_one_line_and_exit_2(tmp_path: Path) -> None:
    done = mmssl("run", str(tmp_path / "none.yaml"))
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {tmp_path / 'none.yaml'}: cannot be read")


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    done = mmssl("--debug", "run", str(tmp_path / "none.yaml"))
    assert done.returncode != 0
    assert "Traceback" in done.stderr


def test_a_warning_is_one_line_without_the_place_in_the_code() -> None:
    script = """
import warnings
from mmssl.cli import main
from mmssl.errors import MmsslWarning
try:
    main("--version")
except SystemExit:
    warnings.warn("labels are left out", MmsslWarning)
    warnings.warn("of another package", UserWarning)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert done.stderr.splitlines()[0] == "warning: labels are left out"
    assert "UserWarning: of another package" in done.stderr.splitlines()[1]


def test_wrong_usage_is_exit_2() -> None:
    done = mmssl("rnu")
    assert done.returncode == 2
    assert "No such command" in done.stderr
    assert "Usage: mmssl run" in mmssl("run").stdout


def test_interrupted_is_exit_130() -> None:
    script = (
        "import signal, time, mmssl.stages.run as run\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def wait(*arguments, **options): print('ready', flush=True); time.sleep(60)\n"
        "run.run_recipe = wait\n"
        "from mmssl.cli import main; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, "run", "x"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == "interrupted: the same command goes on where it stopped\n"


def test_a_closed_pipe_is_quiet() -> None:
    command = f"{sys.executable} -c 'from mmssl.cli import main; main()' --help | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.stderr == ""


def test_version() -> None:
    assert mmssl("--version").stdout == "mmssl 0.1.0\n"


def test_scores_are_printed_with_seed_items_and_every_protocol(capsys: pytest.CaptureFixture[str]) -> None:
    score = ReportRow("run", "data", "test", "net", "knn", "top1", 0.5, 34, 56, "By neighbors.", "", "0")
    printed = [
        score,
        replace(score, encoder="pixels", baseline=True),
        replace(score, encoder="chance", baseline=True, protocol="A guess."),
    ]
    print_scores(printed)
    shown = capsys.readouterr()
    assert all(word in shown.out for word in ("net", "pixels (baseline)", "0.5000", "34", "56"))
    assert shown.err.splitlines() == ["By neighbors.", "chance: A guess."]
