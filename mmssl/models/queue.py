"""A queue of earlier embeddings."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class KeyQueue(nn.Module):
    """The latest L2-normalised keys; new ones take the place of the oldest. It is filled with random directions at first.

    Args:
        length: Number of keys; batches need not divide it.
        dim: Length of a key.

    Raises:
        ValueError: If length is not positive.
    """

    keys: Tensor
    position: Tensor

    def __init__(self, length: int, dim: int) -> None:
        super().__init__()
        if length < 1:
            raise ValueError(f"a queue needs a length of at least 1, got {length}")
        self.register_buffer("keys", functional.normalize(torch.randn(length, dim), dim=1))
        self.register_buffer("position", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def enqueue(self, keys: Float[Tensor, "batch dim"]) -> None:
        """Puts keys in; of more than the queue holds, the last ones."""
        length = len(self.keys)
        skipped = max(0, len(keys) - length)
        places = (self.position + torch.arange(skipped, len(keys), device=keys.device)) % length
        self.keys[places] = functional.normalize(keys[skipped:].to(self.keys.dtype), dim=1)
        self.position.copy_((self.position + len(keys)) % length)
