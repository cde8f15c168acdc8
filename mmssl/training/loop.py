"""The training loop. It knows no method: an objective gives a loss, and moves its own state after each step."""

import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmssl.config import Spec, build, digest
from mmssl.data.dataset import ClipSource
from mmssl.errors import TrainingError
from mmssl.files import atomic_file
from mmssl.models.loading import save_encoder
from mmssl.objectives.objective import Objective, Output
from mmssl.progress import Progress
from mmssl.training.batches import Batches, StepBatch
from mmssl.training.checkpoint import Progressed, load_latest_state, save_state
from mmssl.training.distributed import Ranks, average_over_ranks, broadcast_state, joined_ranks
from mmssl.training.frozen import Keeper
from mmssl.training.interruption import Interruption
from mmssl.training.metrics import MetricsLog
from mmssl.training.optim import OPTIMIZER_CHOICE, learning_rate_factor, weight_decay_at
from mmssl.training.probe import OnlineProbe
from mmssl.training.settings import Plan, TrainSettings
from mmssl.training.sync_batchnorm import synchronized_batchnorm
from mmssl.training.watch import CollapseWatch
from mmssl.views.text import TextView
from mmssl.views.view import View

SMALLEST_LOSS_SCALE = 1.0
"""Where fp16 has shrunk the loss this far, gradients that are not finite are not the fault of fp16."""


def train(
    objective: Objective,
    view: View,
    source: ClipSource,
    *,
    out: Path,
    settings: TrainSettings,
    seed: int,
    encoder_spec: Spec,
    facts: Mapping[str, Any] | None = None,
    probe: OnlineProbe | None = None,
    text_view: TextView | None = None,
) -> None:
    """Trains an objective and saves its encoder.

    Writes `checkpoint/` (the encoder), `state/` (to go on from), `metrics.jsonl` and `logs/` (timing, TensorBoard).
    Calling it again on a folder goes on from the latest state there and ends with the same bytes in everything but
    `logs/` as a training that was never interrupted. Under torchrun, every process calls it with the same arguments.

    Args:
        objective: In the state it starts from; its initial weights are the caller's to seed.
        view: Makes batches of the clips.
        source: The clips.
        out: Folder of the training.
        settings: How long, how fast and with what.
        seed: Of the order of clips, the views and the objective's random numbers.
        encoder_spec: Builds the encoder again; saved beside its weights.
        facts: Further things the result depends on, such as the objective's spec; saved beside the weights.
        probe: Scores the encoder every `probe_every` steps.
        text_view: Changes the captions, for an objective that needs them.

    Raises:
        TrainingError: If the settings do not fit the clips or the objective, or the loss or its gradient is not finite.
        ConfigError: If the objective cannot learn from such clips.
        CheckpointError: If `out` holds the state of a training with other settings, data or objective.
        KeyboardInterrupt: After Ctrl-C, once the state is saved.
    """
    with joined_ranks(settings.device) as ranks:
        if settings.accumulate > 1 and objective.looks_across_batch:
            raise TrainingError(
                f"{type(objective).__name__} compares the items of a batch with each other, so {settings.accumulate} "
                "micro-batches are not one batch; set accumulate=1 and a smaller batch_size, or use more ranks"
            )
        objective.check_fits(source)
        plan = Plan(len(source), ranks.count, settings)
        facts = {"seed": seed, "clips": source.digest, "training": settings.what_changes_results(), **(facts or {})}
        training = _Training(
            objective,
            view,
            source,
            out=out,
            plan=plan,
            seed=seed,
            facts=facts,
            ranks=ranks,
            probe=probe,
            text_view=text_view,
        )
        training.run()
        if ranks.rank == 0:
            facts["num_steps"] = plan.num_steps
            save_encoder(out / "checkpoint", objective.encoder, spec=encoder_spec, facts=facts)


class _Training:
    """One call of `train`: the parts that its steps share."""

    def __init__(
        self,
        objective: Objective,
        view: View,
        source: ClipSource,
        *,
        out: Path,
        plan: Plan,
        seed: int,
        facts: Mapping[str, Any],
        ranks: Ranks,
        probe: OnlineProbe | None,
        text_view: TextView | None,
    ) -> None:
        self.settings = plan.settings
        self.view = view
        self.probe = probe
        self.plan = plan
        self.seed = seed
        self.ranks = ranks
        self.out = out
        self.source = source
        self.objective = objective.to(ranks.device).train()
        if self.settings.channels_last:
            self.objective.to(memory_format=torch.channels_last)
        if ranks.count > 1:
            synchronized_batchnorm(self.objective)
        self.parameters = [parameter for parameter in objective.parameters() if parameter.requires_grad]
        self.optimizer = build(self.settings.optimizer, OPTIMIZER_CHOICE, module=objective)
        self.base_rates = [group["lr"] for group in self.optimizer.param_groups]
        self.base_decays = [group["weight_decay"] for group in self.optimizer.param_groups]
        precisions = {"off": None, "bf16": torch.bfloat16, "fp16": torch.float16}
        allowed = ("off", "bf16", "fp16") if ranks.device.type == "cuda" else ("off", "bf16")
        self.precision = precisions[self.settings.autocast] if self.settings.autocast in allowed else None
        self.scaler = torch.amp.GradScaler(ranks.device.type, enabled=self.precision is torch.float16)
        self.batches = Batches(
            source,
            view,
            seed=seed,
            plan=plan,
            ranks=ranks,
            labels=objective.needs_labels,
            groups=objective.needs_groups,
            tokenize=objective.tokenize if objective.needs_captions else None,
            text_view=text_view,
            frozen={entry: Keeper(part, ranks.device, self.precision) for entry, part in objective.frozen.items()},
        )
        shapes = {name: list(value.shape) for name, value in objective.state_dict().items()}
        self.digest = digest([type(objective).__name__, shapes, plan.num_steps, dict(facts)])

    def run(self) -> None:
        """All steps that are not done yet, and the state after the last."""
        progressed = load_latest_state(
            self.out / "state", self.objective, self.optimizer, run=self.digest, probe=self.probe
        )
        if progressed is None:
            progressed = Progressed(0, self.digest)
            self._seed(step=-1, rank=0)
            self.objective.prepare(self.batches.first(self.objective.prepare_items))
        else:
            self.scaler.load_state_dict(progressed.scaler)
        broadcast_state(self.objective, self.ranks)
        if self.ranks.rank != 0:
            with Interruption():
                for batch in self.batches.steps(progressed.step, self.plan.num_steps):
                    self._step(batch)
            return
        size = self.settings.batch_size
        with (
            MetricsLog(self.out, step=progressed.step, sums=progressed.sums) as log,
            Progress("train", self.plan.num_steps * size, unit="clips", done=progressed.step * size) as progress,
            Interruption() as interruption,
        ):
            self._lead(progressed.step, log, progress, interruption)

    def _lead(self, first: int, log: MetricsLog, progress: Progress, interruption: Interruption) -> None:
        """The steps of rank 0, which writes down how they go."""
        settings, last = self.settings, self.plan.num_steps
        watch = None
        if settings.watch_every:
            watch = CollapseWatch(self.source, self.view, seed=self.seed, device=self.ranks.device)
        saved, saved_at, lined = first, time.monotonic(), first
        for batch in self.batches.steps(first, last):
            values = self._step(batch)
            log.add(values)
            done = batch.step + 1
            progress.advance(settings.batch_size, loss=values["loss"])
            if done % settings.log_every == 0 or done == last:
                facts = {"lr": self.optimizer.param_groups[0]["lr"]}
                if watch is not None and self._is_due(settings.watch_every, done):
                    facts |= watch.look(self.objective.encoder)
                if self.probe is not None and self._is_due(settings.probe_every, done):
                    facts |= self.probe.look(self.objective.encoder)
                items = (done - lined) * settings.batch_size
                log.write_line(step=done, epoch=batch.epoch, num_items=items, facts=facts)
                lined = done
            by_steps = settings.checkpoint_every_steps and done - saved >= settings.checkpoint_every_steps
            every = settings.checkpoint_every_seconds
            by_time = every is not None and time.monotonic() - saved_at >= every
            if (by_steps or by_time or interruption.came) and done < last:
                self._save(done, log, keep=settings.keep_states)
                saved, saved_at = done, time.monotonic()
                if interruption.came:
                    interruption.stop()
        self._save(last, log, keep=1)

    def _is_due(self, every: int, done: int) -> bool:
        """Whether one of the steps of the line that ends at `done` is a multiple of `every`, or the last of all."""
        before = (done - 1) // self.settings.log_every * self.settings.log_every
        return every > 0 and (done // every > before // every or done == self.plan.num_steps)

    def _save(self, step: int, log: MetricsLog, *, keep: int) -> None:
        log.sync()
        progressed = Progressed(step, self.digest, dict(log.sums), self.scaler.state_dict())
        save_state(self.out / "state", self.objective, self.optimizer, progressed, keep=keep, probe=self.probe)

    def _seed(self, *, step: int, rank: int) -> None:
        """Seeds torch's random numbers, such as those of dropout, for one step."""
        seed = int(digest(["step", self.seed, step, rank])[:15], 16)
        torch.default_generator.manual_seed(seed)
        if self.ranks.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _schedule(self, step: int) -> None:
        """Sets the learning rate and the weight decay of a step."""
        factor = learning_rate_factor(
            step,
            num_steps=self.plan.num_steps,
            warmup_steps=self.plan.warmup_steps,
            schedule=self.settings.schedule,
        )
        last = self.settings.final_weight_decay
        for group, rate, decay in zip(self.optimizer.param_groups, self.base_rates, self.base_decays, strict=True):
            group["lr"] = rate * factor
            if last is not None and decay > 0:
                group["weight_decay"] = weight_decay_at(step, num_steps=self.plan.num_steps, first=decay, last=last)

    def _step(self, batch: StepBatch) -> dict[str, float]:
        """One step of the optimizer; the scalars of its output, as means over micro-batches and ranks."""
        self._seed(step=batch.step, rank=self.ranks.rank)
        self._schedule(batch.step)
        self.optimizer.zero_grad()
        outputs = []
        for part in batch.parts:
            with torch.autocast(self.ranks.device.type, self.precision, enabled=self.precision is not None):
                output = self.objective(part)
            self.scaler.scale(output["loss"] / len(batch.parts)).backward()
            outputs.append({name: value.detach() for name, value in output.items()})
        output = joined(outputs)
        names = [name for name, value in output.items() if value.ndim == 0]
        scalars = torch.stack([output[name].double() for name in names])
        scalars = average_over_ranks(self.parameters, scalars, self.ranks)
        self.scaler.unscale_(self.optimizer)
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        *numbers, norm_now = torch.cat([scalars, norm.double()[None]]).tolist()
        values = dict(zip(names, numbers, strict=True)) | {"gradient_norm": norm_now}
        self._check_finite(batch, values)
        if self.settings.clip_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(self.parameters, self.settings.clip_norm, norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.objective.after_step(output, progress=(batch.step + 1) / self.plan.num_steps)
        return values

    def _check_finite(self, batch: StepBatch, values: Mapping[str, float]) -> None:
        """Stops where the loss or its gradient is not finite.

        Raises:
            TrainingError: Naming the step and the batch's clips, which are also written to `bad_batch.json`.
        """
        names = ["loss"]
        if not self.scaler.is_enabled() or self.scaler.get_scale() <= SMALLEST_LOSS_SCALE:
            names.append("gradient_norm")
        bad = [name for name in names if not math.isfinite(values[name])]
        if not bad:
            return
        items = self.source.items
        ids = [items[index].id for index in batch.indices]
        file = self.out / "bad_batch.json"
        if self.ranks.rank == 0:
            facts = {"step": batch.step + 1, "epoch": batch.epoch, **{name: str(values[name]) for name in names}}
            with atomic_file(file) as partial:
                partial.write_text(json.dumps({**facts, "clips": ids}, indent=2) + "\n", encoding="utf-8")
        what = "the loss" if bad == ["loss"] or len(bad) == 2 else "the gradient"
        raise TrainingError(
            f"step {batch.step + 1}: {what} is {values[bad[0]]}; clips of the batch: {', '.join(ids[:5])}"
            f"{', ...' if len(ids) > 5 else ''} (all in {file}); look at them, lower lr or set clip_norm"
        )


def joined(outputs: Sequence[Output]) -> Output:
    """The outputs of micro-batches as one: the mean of scalars, the items of everything else."""
    if len(outputs) == 1:
        return outputs[0]
    columns: dict[str, list[Tensor]] = {name: [output[name] for output in outputs] for name in outputs[0]}
    return {
        name: torch.stack(parts).mean(0) if parts[0].ndim == 0 else torch.cat(parts) for name, parts in columns.items()
    }
