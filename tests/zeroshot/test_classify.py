"""The whole way, with an encoder whose answers are known: from files to answers, scores and the gallery."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
import torch
from PIL import Image

from mmssl.errors import CheckpointError, ConfigError, EvaluationError
from mmssl.media.encode import VideoWriter
from mmssl.models.loading import load_encoder
from mmssl.stages.zero_shot import ZeroShotResult, classify
from mmssl.zeroshot import embedding_units
from mmssl.zeroshot.classes import ClassList, ClassName
from mmssl.zeroshot.embedding_units import Looking
from tests.zeroshot.toys import COLORS, ColorWords, color_words

CLASSES = ClassList(
    (
        ClassName("red", ("crimson",), parent="warm"),
        ClassName("yellow", parent="warm"),
        ClassName("green"),
        ClassName("blue", ("navy",), parent="cold"),
        ClassName("gray"),
    )
)
TEMPLATES = ("a {} thing.", "{c}")


def paint(path: Path, color: str, *, size: tuple[int, int] = (20, 30), **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((*size, 3), np.array(COLORS[color]) * 255, np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def film(path: Path, colors: list[str]) -> None:
    """Each color for one second."""
    with VideoWriter(path, fps=10, size=(32, 48)) as writer:
        for color in colors:
            frame = (torch.tensor(COLORS[color])[:, None, None] * 255).to(torch.uint8).expand(3, 32, 48).contiguous()
            for _ in range(10):
                writer.write(frame)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of all kinds, and files that cannot be read."""
    folder = tmp_path_factory.mktemp("zeroshot")
    photos = folder / "photos"
    paint(photos / "red" / "a.jpg", "red")
    paint(photos / "red" / "b.png", "crimson", size=(1, 1))
    paint(photos / "red" / "wrong.png", "green")
    paint(photos / "blue" / "large.jpg", "blue", size=(900, 700))
    Image.fromarray(np.full((9, 9, 4), (0, 255, 255, 0), np.uint8), "CMYK").save(photos / "cmyk.jpg")
    Image.fromarray(np.full((9, 9), 32768, np.uint16)).save(photos / "gray16.png")
    film(photos / "film.mp4", ["blue", "blue", "green"])
    (photos / "cut.jpg").write_bytes((photos / "blue" / "large.jpg").read_bytes()[:600])
    (photos / "empty.png").touch()
    (photos / "text.jpg").write_text("no image")
    return folder


@pytest.fixture(scope="module")
def result(made: Path) -> ZeroShotResult:
    return classify(
        [str(made / "photos")],
        CLASSES,
        TEMPLATES,
        color_words(),
        [made / "out" / name for name in ("found.jsonl", "found.csv", "found.parquet", "found.html")],
        looking=Looking(num_frames=6),
        top=2,
        embeddings=made / "kept",
        cache=made / "cache",
        command="mmssl zeroshot photos",
    )


def rows_of(file: Path) -> dict[str, dict[str, Any]]:
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    return {Path(row["path"]).name: row for row in rows}


def test_every_kind_of_file_gets_its_answer(made: Path, result: ZeroShotResult) -> None:
    rows = rows_of(made / "out" / "found.jsonl")
    answers = {name: row["answer"] for name, row in rows.items() if row["status"] == "ok"}
    assert answers == {
        "a.jpg": "red",
        "b.png": "red",
        "wrong.png": "green",
        "large.jpg": "blue",
        "cmyk.jpg": "red",
        "gray16.png": "gray",
        "film.mp4": "blue",
    }
    assert all(len(row["classes"]) == len(row["probabilities"]) == 2 for row in rows.values() if row["status"] == "ok")
    assert rows["a.jpg"]["group"] == "warm"
    assert rows["a.jpg"]["group_probability"] > rows["a.jpg"]["probabilities"][0]
    assert rows["film.mp4"]["end_seconds"] == pytest.approx(3.0)


def test_a_video_is_the_mean_of_its_normalized_frames(made: Path, result: ZeroShotResult) -> None:
    row = rows_of(made / "out" / "found.jsonl")["film.mp4"]
    mean = (4 * torch.tensor(COLORS["blue"]) + 2 * torch.tensor(COLORS["green"])) / 6
    named = torch.nn.functional.normalize(torch.tensor([COLORS["blue"], COLORS["navy"]]), dim=1).mean(0)
    expected = torch.nn.functional.cosine_similarity(mean, named, dim=0).item()
    assert row["similarity"] == pytest.approx(expected, abs=0.05), "up to what the codec does to colors"


def test_bad_files_are_rows_with_their_reason(made: Path, result: ZeroShotResult) -> None:
    rows = rows_of(made / "out" / "found.jsonl")
    assert {name for name, row in rows.items() if row["status"] == "rejected"} == {"cut.jpg", "empty.png", "text.jpg"}
    assert "empty" in rows["empty.png"]["error_message"]
    assert rows["cut.jpg"]["answer"] is None
    assert (result.num_items, result.num_rejected) == (10, 3)


def test_csv_and_parquet_say_the_same(made: Path, result: ZeroShotResult) -> None:
    rows = [json.loads(line) for line in (made / "out" / "found.jsonl").read_text().splitlines()]
    assert pyarrow.parquet.read_table(made / "out" / "found.parquet").to_pylist() == rows
    with (made / "out" / "found.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["id"] for row in table] == [row["id"] for row in rows]
    for row, cells in zip(rows, table, strict=True):
        assert [cells["class_1"], cells["class_2"]] == (row["classes"] or ["", ""])
        assert cells["probability_1"] == (str(row["probabilities"][0]) if row["probabilities"] else "")


def test_scores_by_the_names_of_folders(made: Path, result: ZeroShotResult) -> None:
    scores = result.scores
    assert scores is not None
    assert (scores.num_items, scores.acc1, scores.acc5, scores.chance) == (4, 0.75, 1.0, 0.2)
    assert scores.mean_per_class_recall == pytest.approx((2 / 3 + 1) / 2)
    assert ("red", "green", 1) in scores.confusion
    written = json.loads((made / "out" / "found.scores.json").read_text())
    assert written["acc1"] == 0.75
    assert "2 prompts" in written["protocol"]


def test_the_gallery_shows_classes_in_order_and_the_surest_first(made: Path, result: ZeroShotResult) -> None:
    page = (made / "out" / "found.html").read_text()
    places = [page.index(f"<h2>{name}</h2>") for name in ("red", "green", "blue", "gray")]
    assert places == sorted(places)
    assert "Nothing was put into: yellow" in page
    red = page[places[0] : places[1]]
    probabilities = [float(part[:8]) for part in red.split('data-probability="')[1:]]
    assert len(probabilities) == 3
    assert probabilities == sorted(probabilities, reverse=True)
    assert page.count("data:image/jpeg;base64,") == 7
    assert "label: red" in page
    assert "text.jpg" in page[page.index("Left out") :]
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_kept_embeddings_are_used_again_and_damaged_ones_are_made_anew(made: Path, result: ZeroShotResult) -> None:
    loaded = color_words()
    encoder = loaded.encoder
    assert isinstance(encoder, ColorWords)

    def again(**options: Any) -> str:
        out = made / "again.jsonl"
        settings = {"looking": Looking(num_frames=6), "embeddings": made / "kept", "cache": made / "cache", "top": 2}
        classify([str(made / "photos")], CLASSES, TEMPLATES, loaded, [out], **settings | options)
        return out.read_text()

    first = (made / "out" / "found.jsonl").read_text()
    assert again() == first
    assert encoder.num_images == 0
    for file in (made / "kept").glob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:-40])
    assert again() == first
    assert encoder.num_images == 6 + 6


def test_an_interrupted_run_goes_on_with_the_unit_it_stopped_at(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_units, "ITEMS_A_UNIT", 2)
    photos = [str(made / "photos" / "red"), str(made / "photos" / "blue")]
    out = made / "stopped" / "found.jsonl"
    loaded = color_words()
    encoder = loaded.encoder
    assert isinstance(encoder, ColorWords)
    forward = ColorWords.forward

    def failing(self: ColorWords, images: torch.Tensor) -> torch.Tensor:
        if self.num_images >= 2:
            raise KeyboardInterrupt
        return forward(self, images)

    with monkeypatch.context() as patched:
        patched.setattr(ColorWords, "forward", failing)
        with pytest.raises(KeyboardInterrupt):
            classify(photos, CLASSES, TEMPLATES, loaded, [out], looking=Looking(batch_size=1), cache=made / "cache")
    assert not out.exists()
    classify(photos, CLASSES, TEMPLATES, loaded, [out], looking=Looking(batch_size=1), cache=made / "cache")
    assert encoder.num_images == 4
    assert len(rows_of(out)) == 4
    left = {file.name for file in out.parent.iterdir()}
    assert left == {"found.jsonl", "found.scores.json"}, "what the run kept for itself is gone"


def test_videos_are_pooled_as_the_model_pools_them(tmp_path: Path) -> None:
    """A model that looks at the end of a video alone; images and videos share a unit, and batches cut through videos."""

    class Last(torch.nn.Module):
        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            return frames[:, -1]

    film(tmp_path / "film.mp4", ["blue", "blue", "green"])
    film(tmp_path / "other.mp4", ["green", "gray", "red"])
    paint(tmp_path / "image.png", "yellow")
    loaded = color_words()
    loaded.encoder.pool = Last()
    out = tmp_path / "out" / "found.jsonl"
    looking = Looking(num_frames=3, batch_size=2)
    classify([str(tmp_path)], CLASSES, TEMPLATES, loaded, [out], looking=looking, cache=tmp_path / "cache")
    answers = {name: row["answer"] for name, row in rows_of(out).items()}
    assert answers == {"film.mp4": "green", "image.png": "yellow", "other.mp4": "red"}


def test_segments_and_none_of_these(made: Path, tmp_path: Path) -> None:
    """Twenty grays, which are none of two classes, leave no gray picture with an answer."""
    for number in range(20):
        paint(tmp_path / "gray" / f"{number}.png", "gray", size=(4, 4 + number))
    classes = ClassList((ClassName("blue"), ClassName("green")))
    out = tmp_path / "found.jsonl"
    result = classify(
        [str(made / "photos" / "film.mp4"), str(made / "photos" / "gray16.png")],
        classes,
        TEMPLATES,
        color_words(),
        [out],
        looking=Looking(num_frames=2, segment_seconds=1.0),
        background=[str(tmp_path / "gray")],
        cache=tmp_path,
    )
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["answer"] for row in rows] == ["blue", "blue", "green", "none of these"]
    assert [row["start_seconds"] for row in rows] == [0.0, pytest.approx(1.0), pytest.approx(2.0), None]
    assert result.threshold is not None
    assert 0.5 < result.threshold < 0.8


def test_a_linear_probe_stands_beside(tmp_path: Path) -> None:
    """Names that are wrong to the words and consistent all the same: what labels can tell, and words cannot."""
    swapped = {"red": "green", "green": "blue", "blue": "red"}
    for number in range(6):
        for name, color in swapped.items():
            pixels = np.array(COLORS[color]) * 255 * (0.7 + 0.05 * number)
            for side in ("train", "test"):
                file = tmp_path / side / name / f"{number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (9, 9), tuple(int(value) for value in pixels)).save(file)
    made = classify(
        [str(tmp_path / "test")],
        CLASSES,
        TEMPLATES,
        color_words(),
        [tmp_path / "found.jsonl", tmp_path / "found.html"],
        learnt=[str(tmp_path / "train")],
        cache=tmp_path / "cache",
    )
    assert made.scores is not None
    assert made.probe is not None
    assert (made.scores.acc1, made.probe.acc1, made.probe.num_train) == (0, 1, 18)
    written = json.loads((tmp_path / "found.scores.json").read_text())["linear_probe"]
    assert written["acc1"] == 1
    assert "18 labelled items" in written["protocol"]
    assert "acc1 of a linear probe, learnt from 18" in (tmp_path / "found.html").read_text()
    again = [str(tmp_path / "test")]
    with pytest.raises(EvaluationError, match="in both"):
        classify(
            again, CLASSES, TEMPLATES, color_words(), [tmp_path / "x.jsonl"], learnt=again, cache=tmp_path / "cache"
        )


def test_a_csv_alone_is_written(made: Path, tmp_path: Path) -> None:
    classify(
        [str(made / "photos" / "red")],
        CLASSES,
        TEMPLATES,
        color_words(),
        [tmp_path / "new" / "found.csv"],
        cache=tmp_path,
    )
    with (tmp_path / "new" / "found.csv").open(newline="") as file:
        assert [row["answer"] for row in csv.DictReader(file)] == ["red", "red", "green"]
    assert [file.name for file in (tmp_path / "new").iterdir() if file.suffix == ".csv"] == ["found.csv"]


def test_what_cannot_be_done_is_said_before_anything_is_looked_at(made: Path, tmp_path: Path) -> None:
    photos = [str(made / "photos")]
    with pytest.raises(ConfigError, match=r"\.jsonl, \.csv, \.parquet"):
        classify(photos, CLASSES, TEMPLATES, color_words(), [tmp_path / "found.txt"])
    with pytest.raises(CheckpointError, match="knows images and no text"):
        classify(photos, CLASSES, TEMPLATES, load_encoder("lab"), [tmp_path / "found.csv"])
    broken = replace(color_words(), digest="broken")
    broken.encoder.tokenize = lambda texts: torch.full((len(texts), 4), torch.nan)
    with pytest.raises(CheckpointError, match="'red' is not finite"):
        classify(photos, CLASSES, TEMPLATES, broken, [tmp_path / "found.csv"], cache=tmp_path)
    assert list(tmp_path.iterdir()) == []
