"""The train stage: clips, an encoder and an objective -> a checkpoint."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch

from mmssl.config import Spec, build, normalized
from mmssl.evaluation.image_text_probe import ImageTextProbe
from mmssl.evaluation.label_probe import LabelProbe, ProbeSettings
from mmssl.models import ENCODER_CHOICE
from mmssl.models.loading import copy_weights
from mmssl.objectives import OBJECTIVE_CHOICE, OBJECTIVES
from mmssl.stages.clips import of_splits, opened_clips
from mmssl.stages.context import Input, RunContext
from mmssl.stages.embed import EncoderReference
from mmssl.stages.train_section import write_train_section
from mmssl.training.distributed import is_leader
from mmssl.training.loop import train as run_training
from mmssl.training.probe import OnlineProbe
from mmssl.training.processes import on_ranks
from mmssl.training.settings import TrainSettings
from mmssl.views import VIEW_CHOICE
from mmssl.views.text import TEXT_VIEW_CHOICE

PROBE = ProbeSettings()


def train(
    out: Path,
    context: RunContext,
    *,
    clips: Annotated[Path, Input("decode")],
    encoder: Annotated[Spec | str, ENCODER_CHOICE],
    objective: Annotated[Spec | str, OBJECTIVE_CHOICE],
    training: TrainSettings,
    start_from: EncoderReference | None = None,
    view: Annotated[Spec | str, VIEW_CHOICE] | None = None,
    text_view: Annotated[Spec | str, TEXT_VIEW_CHOICE] | None = None,
    splits: list[str] | None = None,
    without_groups: list[str] | None = None,
    probe: ProbeSettings = PROBE,
) -> None:
    """Trains an encoder from fresh weights or those of another, on one process or on several that share each batch.

    Args:
        out: Gets `checkpoint/`, `state/`, `metrics.jsonl`, `logs/` and the section of the report.
        context: Facts of the run.
        clips: Folder of a decode stage.
        encoder: Which network, with its settings.
        objective: What it learns from.
        training: How long, how fast and with what.
        start_from: Reference of an encoder like this one, such as `$pretrain` or `open_clip:MODEL:TAG`, whose weights it starts
            with.
        view: What the objective sees of a clip; the objective's own where not given.
        text_view: What the objective reads of a caption; the whole of it where not given.
        splits: Of the clips to train on; `train` and clips of no split where not given.
        without_groups: Groups, such as speakers, that are not trained on, so that they can be scored as ones never met.
        probe: How the training is followed by labels where `training.probe_every` is set; one on captions is followed by
            retrieval instead, among clips of the split `val`, or those trained on where there are none.
    """
    training_here = partial(
        _train,
        out,
        replace(context, crew=None),
        clips=clips,
        encoder=encoder,
        objective=objective,
        training=training,
        start_from=start_from,
        view=view,
        text_view=text_view,
        splits=splits,
        without_groups=without_groups or [],
        probe=probe,
    )
    if context.crew is not None:
        context.crew.call(training_here)
    else:
        on_ranks(training_here, context.processes)


def _train(
    out: Path,
    context: RunContext,
    *,
    clips: Path,
    encoder: Spec | str,
    objective: Spec | str,
    training: TrainSettings,
    start_from: str | None,
    view: Spec | str | None,
    text_view: Spec | str | None,
    splits: list[str] | None,
    without_groups: list[str],
    probe: ProbeSettings,
) -> None:
    """One rank's part of the stage."""
    with opened_clips(clips, workers=max(1, context.workers // context.processes)) as all_clips:
        source = of_splits(all_clips, splits, without_groups=without_groups)
        encoder_spec, objective_spec = normalized(encoder), normalized(objective)
        view_spec = normalized(view if view is not None else OBJECTIVES[objective_spec["name"]].default_view)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(context.seed)
            network = build(encoder_spec, ENCODER_CHOICE)
            if start_from is not None:
                copy_weights(start_from, network, what="start_from: the encoder")
            method = build(objective_spec, OBJECTIVE_CHOICE, encoder=network)
        make_view = build(view_spec, VIEW_CHOICE)
        facts: dict[str, Any] = {"objective": objective_spec, "view": view_spec, "recipe_digest": context.recipe_digest}
        make_text_view = None
        if text_view is not None:
            facts["text_view"] = normalized(text_view)
            make_text_view = build(facts["text_view"], TEXT_VIEW_CHOICE)
        follower: OnlineProbe | None = None
        if training.probe_every and method.needs_captions:
            held_out = any(item.split == "val" for item in all_clips.items) and "val" not in (splits or ())
            follower = ImageTextProbe(of_splits(all_clips, ["val"]) if held_out else source)
        elif training.probe_every:
            follower = LabelProbe(source, dim=network.dim, settings=probe, seed=context.seed)
        run_training(
            method,
            make_view,
            source,
            out=out,
            settings=training,
            seed=context.seed,
            encoder_spec=encoder_spec,
            facts=facts,
            probe=follower,
            text_view=make_text_view,
        )
        if is_leader():
            write_train_section(
                out, method, make_view, source, title=f"Training: {objective_spec['name']}", seed=context.seed
            )
