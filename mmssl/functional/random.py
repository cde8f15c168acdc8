"""Random numbers that belong to an item, not to the moment they are drawn.

Every number is a hash of (seed, epoch, item, name, position), so it does not depend on which items share a batch, on how
many workers there are, or on where a run was resumed.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The splitmix64 finalizer. Source: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators"."""
    with np.errstate(over="ignore"):
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return values ^ (values >> np.uint64(31))


class ItemRandom:
    """Draws random numbers for a batch of items; item `i` gets the same ones in whatever batch it stands.

    Args:
        seed: Seed of the run.
        epoch: Pass over the data, from 0.
        items: Indices of the items in the data set, >= 0; one row of each draw belongs to each.
    """

    def __init__(self, seed: int, epoch: int, items: Sequence[int]) -> None:
        self.seed = seed
        self.epoch = epoch
        self.items = tuple(int(item) for item in items)

    def __len__(self) -> int:
        return len(self.items)

    def _bits(self, name: str, count: int) -> NDArray[np.uint64]:
        """`count` hashed 64-bit words for each item, [items, count]."""
        key = hashlib.blake2b(f"{self.seed}/{self.epoch}/{name}".encode(), digest_size=8).digest()
        items = np.asarray(self.items, dtype=np.uint64)[:, None]
        positions = np.arange(1, count + 1, dtype=np.uint64)[None, :]
        with np.errstate(over="ignore"):
            start = _mix(items * _GOLDEN + np.frombuffer(key, dtype=np.uint64))
            return _mix(start + positions * _GOLDEN)

    def uniform(
        self, name: str, shape: Sequence[int] = (), *, low: float = 0.0, high: float = 1.0
    ) -> Float[Tensor, "items ..."]:
        """Uniform numbers in [low, high), float32 `[items, *shape]`; one `name` always gives the same numbers."""
        bits = self._bits(name, int(np.prod(shape, dtype=np.int64)))
        unit = (bits >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)
        return torch.from_numpy(unit * np.float32(high - low) + np.float32(low)).reshape(len(self), *shape)

    def integers(self, name: str, shape: Sequence[int] = (), *, high: int) -> Int[Tensor, "items ..."]:
        """Whole numbers from 0 to `high - 1`, int64 `[items, *shape]`; `high` up to 2**31."""
        bits = self._bits(name, int(np.prod(shape, dtype=np.int64)))
        drawn = ((bits >> np.uint64(32)) * np.uint64(high)) >> np.uint64(32)
        return torch.from_numpy(drawn.astype(np.int64)).reshape(len(self), *shape)

    def normal(self, name: str, shape: Sequence[int] = ()) -> Float[Tensor, "items ..."]:
        """Standard normal numbers, float32 `[items, *shape]` (Box and Muller)."""
        radius = self.uniform(f"{name}/radius", shape)
        angle = self.uniform(f"{name}/angle", shape)
        return torch.sqrt(-2.0 * torch.log1p(-radius)) * torch.cos(2.0 * torch.pi * angle)

    def permutations(self, name: str, count: int) -> Int[Tensor, "items count"]:
        """A random order of 0 .. count - 1 for each item, int64 `[items, count]`."""
        return torch.from_numpy(np.argsort(self._bits(name, count), axis=1, kind="stable"))
