"""What the train stage says in the report: the network, its curves, what it saw and what it makes of it."""

import json
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mmssl.data.dataset import ClipSource, evenly_spaced
from mmssl.functional.collapse import collapse_warning
from mmssl.functional.picture_grid import picture_grid
from mmssl.media.image import write_png
from mmssl.objectives.objective import Objective
from mmssl.report.section import Block, Images, Picture, Section, Table, Warn, write_section
from mmssl.stages.train_curves import curves
from mmssl.training.batches import viewed
from mmssl.views.view import View

PREVIEW_CLIPS = 8
SHOWN_WIDTH = 1000
"""Narrower pictures are enlarged, by a whole factor, as far as they fit into so many pixels."""


def write_train_section(
    out: Path, objective: Objective, view: View, source: ClipSource, *, title: str, seed: int
) -> None:
    """Writes `section.json` and the pictures of a finished training."""
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    encoder = objective.encoder
    facts: tuple[tuple[str, str | int | float], ...] = (
        ("clips to train on", len(source)),
        ("steps", lines[-1]["step"]),
        ("passes over the clips", lines[-1]["epoch"] + 1),
        ("parameters of the encoder", sum(parameter.numel() for parameter in encoder.parameters())),
        ("parameters in all", sum(parameter.numel() for parameter in objective.parameters())),
        ("pixels per cell" if encoder.sample_rate is None else "samples per cell", encoder.stride),
        ("numbers in an embedding", encoder.dim),
        ("last loss", lines[-1]["loss"]),
    )
    positions = evenly_spaced(len(source), PREVIEW_CLIPS)
    batch = viewed(view, source, positions, seed=seed)
    device = next((parameter.device for parameter in objective.parameters()), torch.device("cpu"))
    pictures = objective.pictures({key: value.to(device) for key, value in batch.items()})
    blocks: tuple[Block, ...] = (
        Table(("what", "value"), facts),
        *_warnings(lines),
        *curves(lines, units=objective.units, guesses=objective.guesses, numbers=objective.numbers),
        *_images(out, _previews(batch), title="What the objective sees"),
        *_images(out, pictures, title="What it makes of it"),
    )
    write_section(out, Section(title, blocks))


def _warnings(lines: list[dict[str, Any]]) -> list[Warn]:
    """A warning where the last look at the embeddings finds them collapsed."""
    looks = [line for line in lines if line.get("spread") is not None and line.get("effective_rank") is not None]
    warning = collapse_warning(looks[-1]["spread"], looks[-1]["effective_rank"]) if looks else None
    return [Warn(f"At the end {warning}. The training has probably collapsed.")] if warning else []


def _previews(batch: dict[str, Tensor]) -> dict[str, Float[Tensor, "3 height width"]]:
    """Each image-like entry of a batch as one picture: clips side by side, their frames below each other."""
    previews = {}
    for key, value in batch.items():
        frames = value[:, None] if value.ndim == 4 else value.flatten(0, -5) if value.ndim > 5 else value
        if frames.ndim == 5 and frames.shape[1] > 0 and frames.shape[2] == 3 and value.is_floating_point():
            previews[key] = picture_grid(frames.unbind(1))
    return previews


def _images(out: Path, pictures: dict[str, Tensor], *, title: str) -> list[Images]:
    shown = []
    for number, (name, picture) in enumerate(pictures.items()):
        file = f"pictures/{title.split()[-1]}-{number}.png"
        (out / "pictures").mkdir(exist_ok=True)
        pixels = (picture.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8)
        enlarged = max(1, SHOWN_WIDTH // pixels.shape[2])
        write_png(out / file, pixels.repeat_interleave(enlarged, dim=1).repeat_interleave(enlarged, dim=2))
        shown.append(Picture(file, name.replace("_", " ")))
    return [Images(tuple(shown), title=title, per_row=1)] if shown else []
