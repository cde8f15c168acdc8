"""The loop trains, writes what it should, and goes on bit for bit."""

import json
from pathlib import Path

import pytest

from mmssl.models.loading import load_encoder
from tests.training.tiny import run


def result(out: Path) -> dict[str, bytes]:
    """Every file that must not depend on the clock or on interruptions."""
    files = (path for path in out.rglob("*") if path.is_file())
    return {str(path.relative_to(out)): path.read_bytes() for path in files if path.relative_to(out).parts[0] != "logs"}


def lines(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted training of 15 steps."""
    out = tmp_path_factory.mktemp("whole")
    run(out)
    return out


def test_writes_what_it_says(whole: Path) -> None:
    assert set(result(whole)) == {
        "metrics.jsonl",
        "checkpoint/encoder.safetensors",
        "checkpoint/card.json",
        "state/step-0000000015/state.safetensors",
        "state/step-0000000015/state.json",
    }
    assert [line["step"] for line in lines(whole)] == [2, 4, 6, 8, 10, 12, 14, 15]
    assert {"loss", "accuracy", "gradient_norm", "lr", "epoch"} <= set(lines(whole)[0])
    assert [line["step"] for line in lines(whole) if "spread" in line] == [6, 10, 15]
    assert len(list((whole / "logs").glob("events*"))) == 1
    assert len((whole / "logs" / "timing.jsonl").read_text().splitlines()) == 8
    assert load_encoder(str(whole / "checkpoint")).card.facts["seed"] == 3


def test_calling_it_again_changes_nothing(whole: Path) -> None:
    before = result(whole)
    run(whole)
    assert result(whole) == before
