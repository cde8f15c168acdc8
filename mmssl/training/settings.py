"""How long, how fast and with what a training runs, whatever its objective."""

from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from mmssl.config import Spec, check
from mmssl.errors import TrainingError
from mmssl.training.optim import OPTIMIZER_CHOICE


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Settings of the loop; those that change a result come first.

    Args:
        batch_size: Clips in a step of the optimizer, over all ranks and micro-batches. What is left of an epoch after
            its last whole batch is dropped; as each epoch has another order, no clip is left out for good.
        epochs: Passes over the clips; this or `num_steps`.
        num_steps: Steps of the optimizer; this or `epochs`.
        optimizer: Entry of `OPTIMIZERS`. Its `lr` is used as it stands, never scaled by the batch size.
        schedule: Learning rate after the warm-up, see `learning_rate_factor`.
        final_weight_decay: What the weight decay of those parameters that have one goes to, along half a cosine.
        warmup_steps: Steps in which the learning rate rises to its full value; this or `warmup_epochs`.
        warmup_epochs: The same in passes over the clips.
        accumulate: Micro-batches that a batch is cut into, to save memory. BatchNorm then sees a micro-batch at a time.
        clip_norm: Largest norm of the gradient; a longer one is shortened to it.
        autocast: Precision of the forward pass; a CPU knows `bf16` and computes in float32 otherwise. On CPUs with AVX-512
            BF16 or AMX a step takes little more than half the time.
        channels_last: Whether weights of convolutions are laid out with the channels last.
        frozen_views: Views of each clip whose features, as a locked image tower gives them, are computed once and kept, so that
            what is left to train takes seconds; epoch e then takes view e modulo this number. 0 for a new view in each epoch.
        log_every: Steps between lines of `metrics.jsonl`, each the mean since the line before.
        watch_every: Steps between looks at the encoder's embeddings, see `CollapseWatch`; 0 for never.
        probe_every: Steps between looks at how well embeddings tell labels apart, see `OnlineProbe`; 0 for never.
        checkpoint_every_steps: Steps between saved states.
        checkpoint_every_seconds: Seconds between saved states.
        keep_states: States that are kept while training; the last one stays in the end.
        device: `auto` (CUDA where there is one), `cpu` or `cuda`.
        prefetch: Whether the next batch is prepared in a thread while a step computes; None: on CUDA only, since a step on
            a CPU keeps all cores busy and a second thread takes turns with it.

    Raises:
        TrainingError: If a value is out of range, or two settings exclude each other; the message holds every fault.
    """

    batch_size: int
    epochs: int | None = None
    num_steps: int | None = None
    optimizer: Annotated[Spec, OPTIMIZER_CHOICE] = field(default_factory=lambda: {"name": "adamw"})
    schedule: Literal["cosine", "constant"] = "cosine"
    final_weight_decay: float | None = None
    warmup_steps: int | None = None
    warmup_epochs: float | None = None
    accumulate: int = 1
    clip_norm: float | None = None
    autocast: Literal["off", "bf16", "fp16"] = "off"
    channels_last: bool = False
    frozen_views: int = 0
    log_every: int = 10
    watch_every: int = 100
    probe_every: int = 0
    checkpoint_every_steps: int | None = None
    checkpoint_every_seconds: float | None = 60.0
    keep_states: int = 2
    device: Literal["auto", "cpu", "cuda"] = "auto"
    prefetch: bool | None = None

    def __post_init__(self) -> None:
        faults = [fault.text() for fault in check(self.optimizer, OPTIMIZER_CHOICE, path=("optimizer",))]
        if (self.epochs is None) == (self.num_steps is None):
            faults.append("give either epochs or num_steps")
        if self.warmup_steps is not None and self.warmup_epochs is not None:
            faults.append("give either warmup_steps or warmup_epochs")
        for name in (
            "batch_size",
            "epochs",
            "num_steps",
            "accumulate",
            "log_every",
            "keep_states",
            "checkpoint_every_steps",
        ):
            value = getattr(self, name)
            if value is not None and value < 1:
                faults.append(f"{name} must be at least 1, got {value}")
        for name in (
            "warmup_steps",
            "warmup_epochs",
            "frozen_views",
            "watch_every",
            "probe_every",
            "checkpoint_every_seconds",
        ):
            value = getattr(self, name)
            if value is not None and value < 0:
                faults.append(f"{name} must not be negative, got {value}")
        if self.clip_norm is not None and self.clip_norm <= 0:
            faults.append(f"clip_norm must be positive, got {self.clip_norm}")
        if faults:
            raise TrainingError("; ".join(faults))

    def what_changes_results(self) -> dict[str, Any]:
        """The settings without those that only say where and how safely the same result is computed."""
        how = {"checkpoint_every_steps", "checkpoint_every_seconds", "keep_states", "device", "prefetch"}
        return {name: value for name, value in asdict(self).items() if name not in how}


@dataclass(frozen=True)
class Plan:
    """The settings in steps, for a number of clips and ranks.

    Args:
        num_clips: In the source.
        num_ranks: Processes that share each batch.
        settings: Of the training.

    Raises:
        TrainingError: If there are fewer clips than a batch needs, or a batch cannot be shared evenly.
    """

    num_clips: int
    num_ranks: int
    settings: TrainSettings

    def __post_init__(self) -> None:
        batch_size, parts = self.settings.batch_size, self.num_ranks * self.settings.accumulate
        if self.num_clips < batch_size:
            raise TrainingError(
                f"{self.num_clips} clips are fewer than batch_size={batch_size}; lower batch_size or give more clips"
            )
        if batch_size % parts:
            raise TrainingError(
                f"batch_size={batch_size} cannot be shared evenly by {self.num_ranks} ranks with "
                f"accumulate={self.settings.accumulate}; make it a multiple of {parts}"
            )

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch."""
        return self.num_clips // self.settings.batch_size

    @property
    def num_steps(self) -> int:
        """Steps of the whole training."""
        if self.settings.num_steps is not None:
            return self.settings.num_steps
        assert self.settings.epochs is not None
        return self.settings.epochs * self.steps_per_epoch

    @property
    def warmup_steps(self) -> int:
        """Steps in which the learning rate rises."""
        if self.settings.warmup_epochs is not None:
            return round(self.settings.warmup_epochs * self.steps_per_epoch)
        return self.settings.warmup_steps or 0
