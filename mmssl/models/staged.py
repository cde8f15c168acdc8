"""What a network is whose first stages can stay as they are while the rest of it learns."""

from typing import Protocol, runtime_checkable

from torch import Tensor, nn


@runtime_checkable
class Staged(Protocol):
    """A network that is a run of stages: `upper(lower(inputs, stages=n), stages=n)` is its embedding, for any n."""

    def stages(self) -> list[nn.Module]:
        """Its parts from the input on, which hold its own weights.

        Raises:
            ConfigError: If it does not come in such parts.
        """

    def lower(self, inputs: Tensor, *, stages: int) -> Tensor:
        """What its first stages make of inputs, each item by itself.

        Args:
            inputs: As its `forward` takes them.
            stages: How many, at least 1.
        """

    def upper(self, states: Tensor, *, stages: int) -> Tensor:
        """The embeddings, from what `lower` gave for as many stages."""
