"""What the frozen parts of an objective make of clips and captions: computed once, in units, and kept from run to run."""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Shaped
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mmssl import __version__
from mmssl.config import digest
from mmssl.data.dataset import ClipSource
from mmssl.files import atomic_file, user_cache
from mmssl.functional.random import ItemRandom
from mmssl.models.modes import looking_only
from mmssl.objectives.objective import FrozenPart
from mmssl.progress import Progress
from mmssl.views.view import View

ITEMS_A_UNIT = 512
ITEMS_AT_ONCE = 32
VIEWS_SEED = 0
"""Of the views that are kept, so that trainings of any seed share them."""


@dataclass(frozen=True)
class Keeper:
    """Computes the features of a frozen part, and keeps them; maps and states of words as exactly as they were computed.

    Args:
        part: Of the objective.
        device: That it is on.
        precision: Of its forward pass; float32 where None.
        folder: Keeps features, where it can be written to; the user's cache where None.
    """

    part: FrozenPart
    device: torch.device
    precision: torch.dtype | None = None
    folder: Path | None = None

    def digest(self) -> str:
        """Names the weights and how they are used."""
        hashed = hashlib.sha256(f"{self.part.module!r} {self.part.facts} {self.precision} {__version__}".encode())
        for name, tensor in self.part.module.state_dict().items():
            hashed.update(f"{name} {tuple(tensor.shape)}".encode())
            hashed.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return hashed.hexdigest()

    def features(
        self, inputs: Callable[[Sequence[int]], Tensor], count: int, *, of: Sequence[str], what: str
    ) -> Shaped[Tensor, "items ..."]:
        """What the part makes of `count` items, as it gives it; units of items that were kept are read.

        Args:
            inputs: Gives the part's input for items at some positions.
            count: Number of items.
            of: For each unit of `ITEMS_A_UNIT` items, what names their inputs.
            what: Plural noun of an item, for the progress shown.
        """
        own, folder = self.digest(), user_cache("frozen_features") if self.folder is None else self.folder
        found: list[Tensor] = []
        with looking_only(self.part.module), Progress(f"keep features of {what}", count, unit=what) as progress:
            for number, first in enumerate(range(0, count, ITEMS_A_UNIT)):
                positions = range(first, min(count, first + ITEMS_A_UNIT))
                file = folder / f"{digest([own, of[number], first, len(positions)])}.safetensors"
                unit = _read(file, len(positions))
                if unit is None:
                    unit = self._computed(inputs, positions)
                    with suppress(OSError), atomic_file(file) as partial:
                        save_file({"features": unit}, partial)
                found.append(unit)
                progress.advance(len(positions))
        return torch.cat(found)

    def _computed(self, inputs: Callable[[Sequence[int]], Tensor], positions: range) -> Tensor:
        parts = []
        for start in range(0, len(positions), ITEMS_AT_ONCE):
            given = inputs(positions[start : start + ITEMS_AT_ONCE]).to(self.device)
            with torch.autocast(self.device.type, self.precision, enabled=self.precision is not None):
                found = self.part.forward(given)
            if self.precision is not None and found.ndim > 2:
                found = found.to(self.precision)
            parts.append(found.cpu())
        return torch.cat(parts).contiguous()


class KeptViews:
    """Features of a few views of each clip, in the place of a new view in every epoch.

    Args:
        keeper: Makes them of `entry` of the view's batch.
        entry: See `Objective.frozen`.
        source: The clips.
        view: Draws anew for each of the kept views.
        num_views: Of each clip; epoch e gets view e modulo this.
    """

    def __init__(self, keeper: Keeper, entry: str, source: ClipSource, view: View, *, num_views: int) -> None:
        named = f"{type(view).__qualname__} {vars(view)!r} {entry} {source.digest}"
        units = -(-len(source) // ITEMS_A_UNIT)

        def inputs(number: int, positions: Sequence[int]) -> Tensor:
            clips = source.clips(positions, epoch=number)
            return view(clips, ItemRandom(VIEWS_SEED, number, positions))[entry]

        self._views = [
            keeper.features(
                partial(inputs, number),
                len(source),
                of=[f"{named} view {number}"] * units,
                what=f"clips (view {number + 1} of {num_views})",
            )
            for number in range(num_views)
        ]

    def of(self, epoch: int, indices: Sequence[int]) -> Shaped[Tensor, "items ..."]:
        """The features of some clips in an epoch, in float32."""
        return self._views[epoch % len(self._views)][list(indices)].float()


def features_of_tokens(keeper: Keeper, tokens: Shaped[Tensor, "texts length"]) -> Shaped[Tensor, "texts ..."]:
    """What a frozen text tower makes of sentences, in their order."""
    units = torch.split(tokens, ITEMS_A_UNIT)
    names = [hashlib.sha256(unit.contiguous().numpy().tobytes()).hexdigest() for unit in units]
    return keeper.features(lambda positions: tokens[list(positions)], len(tokens), of=names, what="captions")


def _read(file: Path, count: int) -> Tensor | None:
    """A kept unit; None where it is not there or damaged."""
    try:
        unit = load_file(file)["features"].clone()
    except (OSError, SafetensorError, KeyError):
        return None
    return unit if len(unit) == count and bool(torch.isfinite(unit).all()) else None
