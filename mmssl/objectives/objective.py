"""The one base class of the project: what every training objective is to the loop."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Float, Int
from torch import Tensor, nn

from mmssl.data.dataset import ClipSource, sample_rate_of
from mmssl.models.encoder import Encoder
from mmssl.models.modes import looking_only

Batch = dict[str, Tensor]
Output = dict[str, Tensor]


@dataclass(frozen=True)
class FrozenPart:
    """A part of an objective that training does not change.

    Args:
        module: Holds its weights.
        forward: What it makes of an entry of a batch, each item by itself.
        facts: What else its result depends on.
    """

    module: nn.Module
    forward: Callable[[Tensor], Tensor]
    facts: str = ""


def kept_name(entry: str) -> str:
    """Name in a batch of what a frozen part made of an entry."""
    return f"{entry}_features"


class Objective(nn.Module):
    """A loss with everything it needs: the encoder under training, heads, teacher, queue, centre.

    All state is in `state_dict` (parameters and buffers, nothing in plain attributes), so that a resumed run goes on bit
    for bit. `forward` gives `{"loss": scalar, ...}`; the other entries are scalars or per-item tensors that the loop logs
    or `after_step` needs. `forward` changes nothing but BatchNorm's running statistics; teacher, queue and centre move in
    `after_step`.

    Args:
        encoder: The encoder that is trained and, in the end, saved.
    """

    default_view: ClassVar[dict[str, Any]]
    """The view a recipe gets when it names none: `{"name": ..., settings}` of `VIEWS`."""

    source: ClassVar[str]
    """Where the method comes from, as `mmssl list objectives` prints it."""

    units: ClassVar[Mapping[str, str]] = {"loss": "nats", "accuracy": "share of right answers"}
    """Units of the scalars that `forward` gives, by name or by a word of it; the report's plots show them."""

    numbers: ClassVar[str] = ""
    """What the numbers at the end of scalars' names count, such as steps ahead; the report then draws the scalars over them."""

    looks_across_batch: bool = False
    """Whether the loss of an item depends on the other items of its batch, so that micro-batches are not one batch."""

    needs_groups: bool = False
    """Whether batches carry `groups`, a number for each item's group, such as its speaker."""

    prepare_items: int = 0
    """How many clips `prepare` wants to see, where that is more than a batch; it is given as many as an epoch has."""

    needs_labels: ClassVar[bool] = False
    """Whether batches carry `labels`, the number of each item's class, for a method that is not self-supervised."""

    needs_captions: ClassVar[bool] = False
    """Whether batches carry `tokens`, a caption of each item as `tokenize` gives it, and `caption`, the caption's number."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    @property
    def guesses(self) -> Mapping[str, float]:
        """What guessing gives, by the name of a scalar that `forward` gives; the report's plots show it beside."""
        return {}

    def check_fits(self, source: ClipSource) -> None:
        """Refuses clips that this method cannot learn from, before the training starts.

        Raises:
            ConfigError: If the encoder takes pictures and the clips are sound, or the other way round.
        """
        self.encoder.check_fits(sample_rate_of(source))

    @property
    def frozen(self) -> Mapping[str, FrozenPart]:
        """Parts that never change, by the entry of a batch that goes through them alone.

        What such a part makes of an entry may be computed once and kept: `forward` then finds `kept_name(entry)` in a batch in
        the place of the entry.
        """
        return {}

    def tokenize(self, texts: Sequence[str]) -> Int[Tensor, "texts length"]:
        """Captions as numbers, for a method that needs them; called once for all captions."""
        raise NotImplementedError

    def prepare(self, batch: Batch) -> None:
        """Sets what has to be found in data before training, such as color clusters, in buffers.

        Called once, before the first step of a new run and not when one is resumed; all processes are given the same batch.
        """

    def forward(self, batch: Batch) -> Output:
        """Computes the loss of a batch, whose keys are those of the view."""
        raise NotImplementedError

    def after_step(self, output: Output, *, progress: float) -> None:
        """Moves what is not moved by gradients; called once after each optimizer step.

        Args:
            output: What `forward` gave for the step.
            progress: Share of the training that is done, in (0, 1].
        """

    def pictures(self, batch: Batch) -> dict[str, Float[Tensor, "3 height width"]]:
        """Pictures for the report, RGB in 0..1 by title, such as reconstructed colours beside the true ones.

        Made in evaluation mode and without gradients; the objective is left as it was.
        """
        with looking_only(self):
            return self._pictures(batch)

    def _pictures(self, batch: Batch) -> dict[str, Float[Tensor, "3 height width"]]:
        """What a method has to show; nothing where it does not say."""
        return {}
