"""What the loop asks of a probe that follows a training with labels."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from torch import Tensor

from mmssl.models.encoder import Encoder


@runtime_checkable
class OnlineProbe(Protocol):
    """Scores the encoder now and then; the encoder never learns of it.

    What it carries from one look to the next is saved and resumed with the training.
    """

    def look(self, encoder: Encoder) -> dict[str, float]:
        """Scores by name; the encoder and the global random numbers stay as they were."""

    def state(self) -> dict[str, Tensor]:
        """Everything that the next look depends on."""

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Takes over what `state` gave."""
