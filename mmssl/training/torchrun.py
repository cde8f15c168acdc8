"""A run on processes that torchrun started: rank 0 does all of it, the others take part in its trainings."""

import os
import pickle
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

from torch import distributed
from torch.distributed import PrefixStore  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

SECONDS_BETWEEN_LOOKS = 0.2


class Crew:
    """This process among those of torchrun.

    Outside of trainings the variables that make it a rank are hidden, so that what rank 0 does alone waits for no one.
    """

    def __init__(self) -> None:
        self._store, rank, size = next(rendezvous("env://"))
        self._rank, self.size = int(rank), int(size)
        self._ranked = {name: os.environ.pop(name) for name in ("RANK", "WORLD_SIZE")}
        self._numbers = count()

    @property
    def leads(self) -> bool:
        """Whether this is rank 0."""
        return self._rank == 0

    def call(self, function: Callable[[], None]) -> None:
        """Calls a function here and on every other rank, which find in it that they are ranks of one training.

        Args:
            function: Can be pickled; calls `joined_ranks`.
        """
        number = next(self._numbers)
        self._store.set(f"call {number}", pickle.dumps(function))
        self._join(function, number)

    def dismiss(self) -> None:
        """Lets the other ranks end."""
        self._store.set(f"call {next(self._numbers)}", b"")

    def follow(self) -> None:
        """What the other ranks do: every call of rank 0, until it dismisses them."""
        for number in self._numbers:
            while not self._store.check([f"call {number}"]):
                time.sleep(SECONDS_BETWEEN_LOOKS)
            call = self._store.get(f"call {number}")
            if not call:
                return
            self._join(pickle.loads(call), number)

    def _join(self, function: Callable[[], None], number: int) -> None:
        """After an error the ranks stay joined until the process ends, as in `joined_ranks`."""
        os.environ |= self._ranked
        store = PrefixStore(f"training {number}", self._store)
        distributed.init_process_group(store=store, rank=self._rank, world_size=self.size)
        function()
        distributed.destroy_process_group()
        for name in self._ranked:
            del os.environ[name]


@contextmanager
def crew_of_torchrun() -> Iterator[Crew | None]:
    """The processes that torchrun started with this one, None where it did not; the block is for the one that leads.

    The others follow when they leave the block, and the one that leads then lets them end.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        yield None
        return
    crew = Crew()
    yield crew
    if crew.leads:
        crew.dismiss()
    else:
        crew.follow()
