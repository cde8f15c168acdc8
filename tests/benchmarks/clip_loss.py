"""Trained projections of `pipelines/multimodal/sentence_encoder.yaml` beside a bare loop around open_clip's `ClipLoss`.

    mmssl run pipelines/multimodal/sentence_encoder.yaml --until images --out RUN
    python -m tests.benchmarks.clip_loss RUN/images docs/results/clip.jsonl

Both have the same towers and what these give of the same views, projections with the same first weights, steps, batches of the
same size, optimizer and course of the learning rate. open_clip's side is its loss, its scale and a shuffle; it does not know
that captions stand twice. Seconds are of the training alone, on one thread, with the towers' features kept from before; ours
have the reading of these, the log and the saved states in them.
"""

import argparse
import math
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from open_clip.loss import ClipLoss
from torch.nn.functional import normalize

import mmssl
from mmssl.config import build, load_recipe, normalized
from mmssl.data.dataset import ClipSource
from mmssl.evaluation.cross_modal import RULE, first_ranks
from mmssl.evaluation.evaluate import write_rows
from mmssl.evaluation.image_text_retrieval import captioned_pairs
from mmssl.evaluation.report_row import ReportRow
from mmssl.functional.random import ItemRandom
from mmssl.models import ENCODER_CHOICE
from mmssl.models.towers import ImageTextTowers
from mmssl.objectives import OBJECTIVE_CHOICE
from mmssl.objectives.clip import CLIP
from mmssl.stages.clips import of_splits, open_clips
from mmssl.training.captions import Captions
from mmssl.training.frozen import Keeper, KeptViews, features_of_tokens
from mmssl.training.loop import train
from mmssl.training.optim import adamw, learning_rate_factor
from mmssl.training.settings import Plan, TrainSettings
from mmssl.views import VIEW_CHOICE
from mmssl.views.pretext import CropView

RECIPE = Path("pipelines/multimodal/sentence_encoder.yaml")
OURS, THEIRS = "clip", "open_clip ClipLoss, bare loop"


@dataclass(frozen=True)
class Task:
    """What both sides train on.

    Args:
        stage: Settings of the recipe's training.
        clips: To train on.
        test: To score.
    """

    stage: dict[str, Any]
    clips: ClipSource
    test: ClipSource

    def settings(self) -> TrainSettings:
        """Of the loop, without looks in between."""
        return TrainSettings(**{**self.stage["training"], "probe_every": 0})

    def objective(self, seed: int) -> CLIP:
        """Towers and fresh projections."""
        torch.manual_seed(seed)
        encoder = build(self.stage["encoder"], ENCODER_CHOICE)
        objective: CLIP = build(self.stage["objective"], OBJECTIVE_CHOICE, encoder=encoder)
        return objective


def towers_of(objective: CLIP) -> ImageTextTowers:
    assert isinstance(objective.towers, ImageTextTowers)
    return objective.towers


def keepers(objective: CLIP) -> dict[str, Keeper]:
    """Of the locked towers, as the loop has them."""
    return {entry: Keeper(part, torch.device("cpu"), torch.bfloat16) for entry, part in objective.frozen.items()}


def ours(task: Task, seed: int) -> tuple[ImageTextTowers, float]:
    """The package's loop."""
    objective = task.objective(seed)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        train(
            objective,
            build(task.stage["view"], VIEW_CHOICE),
            task.clips,
            out=Path(folder),
            settings=task.settings(),
            seed=seed,
            encoder_spec=normalized(task.stage["encoder"]),
        )
        return towers_of(objective), time.perf_counter() - began


def theirs(task: Task, seed: int) -> tuple[ImageTextTowers, float]:
    """A bare loop."""
    objective = task.objective(seed).train()
    settings, towers, kept = task.settings(), towers_of(objective), keepers(objective)
    plan = Plan(len(task.clips), 1, settings)
    view = build(task.stage["view"], VIEW_CHOICE)
    began = time.perf_counter()
    images = KeptViews(kept["image"], "image", task.clips, view, num_views=settings.frozen_views)
    captions = Captions(task.clips, objective.tokenize, lambda tokens: features_of_tokens(kept["tokens"], tokens))
    optimizer = build_optimizer(objective, settings)
    rate = optimizer.param_groups[0]["lr"]
    loss_of = ClipLoss()
    step = 0
    for epoch in range(plan.num_steps // plan.steps_per_epoch):
        order = torch.randperm(len(task.clips))[: plan.steps_per_epoch * settings.batch_size]
        for chosen in torch.split(order, settings.batch_size):
            for group in optimizer.param_groups:
                group["lr"] = rate * learning_rate_factor(
                    step, num_steps=plan.num_steps, warmup_steps=plan.warmup_steps, schedule=settings.schedule
                )
            places = chosen.tolist()
            texts = captions.of(ItemRandom(seed, epoch, places))["tokens_features"]
            left = normalize(towers.image_projection(images.of(epoch, places)), dim=1)
            right = normalize(towers.text_projection(texts), dim=1)
            loss = loss_of(left, right, towers.log_scale.exp())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                towers.log_scale.clamp_(0, math.log(100))
            step += 1
    return towers, time.perf_counter() - began


def build_optimizer(objective: CLIP, settings: TrainSettings) -> torch.optim.Optimizer:
    return adamw(objective, **{name: value for name, value in settings.optimizer.items() if name != "name"})


@torch.inference_mode()
def recalls(task: Task, towers: ImageTextTowers) -> dict[str, float]:
    """R@k both ways on the scored clips."""
    kept = keepers(task.objective(0))
    whole = CropView(
        size=task.stage["encoder"]["size"], scale=(1.0, 1.0), ratio=(1.0, 1.0), flip_probability=0.0, bicubic=True
    )
    pairs = captioned_pairs(task.test.items, range(len(task.test)))
    seen = KeptViews(kept["image"], "image", task.test, whole, num_views=1).of(0, range(len(task.test)))
    read = features_of_tokens(kept["tokens"], towers.tokenize(pairs.texts))
    towers.eval()
    images, texts = (normalize(part, dim=1) for part in (towers.image_projection(seen), towers.text_projection(read)))
    similarity, belongs = images @ texts.T, pairs.belongs()
    found = {}
    for way, scores, right in (("text to image", similarity.T, belongs.T), ("image to text", similarity, belongs)):
        ranks = first_ranks(scores, right)
        found |= {f"{way} R@{k}": float((ranks <= k).double().mean()) for k in (1, 5, 10)}
    return found


def row(task: Task, name: str, metric: str, values: list[float], protocol: str) -> ReportRow:
    return ReportRow(
        run="benchmark",
        dataset="flickr8k",
        split="test",
        encoder=name,
        evaluation="image_text_retrieval",
        metric=metric,
        value=mean(values),
        num_items=len(task.test),
        seed=0,
        protocol=protocol,
        recipe_digest="",
        code_version=mmssl.__version__,
        baseline=name == THEIRS,
        detail={"values": [round(value, 4) for value in values], "deviation": round(stdev(values), 4)},
        is_score="R@" in metric,
    )


def main() -> None:
    """Trains both sides by turns, prints and writes the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="folder of the recipe's decode stage")
    parser.add_argument("out", type=Path, help="JSONL of report rows")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    clips = open_clips(given.images)
    stage = load_recipe(RECIPE).values["stages"]["heads"]
    task = Task(stage, of_splits(clips, ["train"]), of_splits(clips, ["test"]))
    protocol = (
        f"Each of the {len(task.test)} images' captions against all images and each image against all captions by cosine "
        f"similarity; {RULE}. Mean of {given.seeds} seeds; seconds: of the training on one thread, features kept from before."
    )
    rows = []
    for name, side in ((OURS, ours), (THEIRS, theirs)):
        found: dict[str, list[float]] = {}
        for seed in range(given.seeds):
            towers, seconds = side(task, seed)
            for metric, value in {**recalls(task, towers), "seconds": seconds}.items():
                found.setdefault(metric, []).append(value)
            print(name, seed, {metric: round(values[-1], 3) for metric, values in found.items()}, flush=True)
        rows += [row(task, name, metric, values, protocol) for metric, values in found.items()]
    write_rows(given.out, rows)


if __name__ == "__main__":
    main()
