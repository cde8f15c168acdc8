"""What a view is to the loop."""

from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from mmssl.functional.random import ItemRandom


@runtime_checkable
class View(Protocol):
    """Turns decoded clips into the tensors an objective trains on, a whole batch at a time.

    What an item becomes depends on the item and its random numbers alone, never on the others in the batch.
    """

    def __call__(
        self,
        clips: Any,
        random: ItemRandom,
    ) -> dict[str, Tensor]:
        """The batch; images are RGB in 0..1.

        Args:
            clips: Pictures, uint8 `[batch, frames, 3, height, width]`; windows of sound, float32 `[batch, frames, 1, samples]`;
                or `Footage`, for a view whose attribute `hears` is true.
            random: One item a clip.
        """
