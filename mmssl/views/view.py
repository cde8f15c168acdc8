"""What a view is to the loop."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float32, UInt8
from torch import Tensor

from mmssl.functional.random import ItemRandom


@runtime_checkable
class View(Protocol):
    """Turns decoded clips into the tensors an objective trains on, a whole batch at a time.

    What an item becomes depends on the item and its random numbers alone, never on the others in the batch.
    """

    def __call__(
        self,
        clips: UInt8[Tensor, "batch frames 3 height width"] | Float32[Tensor, "batch frames 1 samples"],
        random: ItemRandom,
    ) -> dict[str, Tensor]:
        """The batch; images are RGB in 0..1."""
