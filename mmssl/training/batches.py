"""The batches of a training, in an order that depends on seed and epoch alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from mmssl.data.dataset import ClipSource, footage_of
from mmssl.errors import TrainingError
from mmssl.functional.random import ItemRandom
from mmssl.objectives.objective import Batch, kept_name
from mmssl.training.captions import Captions
from mmssl.training.distributed import Ranks
from mmssl.training.frozen import Keeper, KeptViews, features_of_tokens
from mmssl.training.settings import Plan
from mmssl.views.text import TextView
from mmssl.views.view import View


@dataclass(frozen=True)
class StepBatch:
    """What one step of the optimizer trains on.

    Args:
        step: From 0.
        epoch: From 0.
        indices: Positions in the source of the whole batch, over all ranks.
        parts: This rank's micro-batches, on its device.
    """

    step: int
    epoch: int
    indices: tuple[int, ...]
    parts: tuple[Batch, ...]


class Batches:
    """Reads clips and makes views of them, step by step.

    Args:
        source: Where the clips are.
        view: Makes a batch of clips and their random numbers.
        seed: Of the run.
        plan: Steps and sizes.
        ranks: This process among the others; each takes its slice of every batch.
        labels: Whether batches carry `labels`: the place of each clip's label among all labels, in order of the alphabet.
        tokenize: Where batches carry captions: turns them into numbers, see `Captions`.
        text_view: Changes captions, see `Captions`.
        groups: Whether batches carry `groups`: a number for each clip's group.
        frozen: Keepers of the objective's parts that never change, see `Objective.frozen`; captions are kept as their
            features, and clips where the settings ask for it.

    Raises:
        TrainingError: If labels or captions are wanted and a clip has none.
    """

    def __init__(
        self,
        source: ClipSource,
        view: View,
        *,
        seed: int,
        plan: Plan,
        ranks: Ranks,
        labels: bool = False,
        tokenize: Callable[[Sequence[str]], Tensor] | None = None,
        text_view: TextView | None = None,
        groups: bool = False,
        frozen: Mapping[str, Keeper] | None = None,
    ) -> None:
        self._source = source
        self._view = view
        self._seed = seed
        self._plan = plan
        self._ranks = ranks
        self._order: tuple[int, list[int]] = (-1, [])
        self._labels = _numbered_labels(source) if labels else None
        parts = frozen or {}
        text = partial(features_of_tokens, parts["tokens"]) if "tokens" in parts and text_view is None else None
        self._captions = Captions(source, tokenize, text, text_view) if tokenize is not None else None
        num_views = plan.settings.frozen_views
        given = viewed(view, source, [0], seed=seed) if num_views else {}
        kept = [entry for entry in parts if entry in given]
        if num_views and not kept:
            raise TrainingError("frozen_views keeps what a locked image tower makes of views, and none is locked")
        self._kept = {
            kept_name(entry): KeptViews(parts[entry], entry, source, view, num_views=num_views) for entry in kept
        }
        self._groups = _numbered([item.group for item in source.items]) if groups else None

    def indices(self, step: int) -> tuple[int, tuple[int, ...]]:
        """Epoch of a step and the positions of its whole batch, over all ranks."""
        epoch, position = divmod(step, self._plan.steps_per_epoch)
        if self._order[0] != epoch:
            random = ItemRandom(self._seed, epoch, [0])
            self._order = (epoch, random.permutations("order of clips", len(self._source))[0].tolist())
        size = self._plan.settings.batch_size
        return epoch, tuple(self._order[1][position * size : (position + 1) * size])

    def first(self, count: int) -> Batch:
        """As many of the first epoch's batches as hold `count` clips, at least one, over all ranks, on this rank's device."""
        steps = min(max(1, -(-count // self._plan.settings.batch_size)), self._plan.steps_per_epoch)
        parts = [self._load(*self.indices(step)) for step in range(steps)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def steps(self, first: int, last: int) -> Iterator[StepBatch]:
        """The batches of steps `first` to `last - 1`; with `prefetch` the next one is made while the caller uses one."""
        prefetch = self._plan.settings.prefetch
        if prefetch is None:
            prefetch = self._ranks.device.type == "cuda"
        if not prefetch:
            yield from map(self._step, range(first, last))
            return
        with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
            coming = thread.submit(self._step, first) if first < last else None
            for step in range(first + 1, last + 1):
                assert coming is not None
                ready = coming.result()
                coming = thread.submit(self._step, step) if step < last else None
                yield ready

    def _step(self, step: int) -> StepBatch:
        epoch, indices = self.indices(step)
        share = len(indices) // self._ranks.count
        own = indices[self._ranks.rank * share : (self._ranks.rank + 1) * share]
        size = share // self._plan.settings.accumulate
        parts = tuple(self._load(epoch, own[start : start + size]) for start in range(0, share, size))
        return StepBatch(step, epoch, indices, parts)

    def _load(self, epoch: int, indices: tuple[int, ...]) -> Batch:
        batch: Batch = {name: views.of(epoch, indices) for name, views in self._kept.items()}
        if not batch:
            with torch.no_grad():
                batch = viewed(self._view, self._source, indices, seed=self._seed, epoch=epoch)
        if self._labels is not None:
            batch["labels"] = self._labels[list(indices)]
        if self._captions is not None:
            batch |= self._captions.of(ItemRandom(self._seed, epoch, indices))
        if self._groups is not None:
            batch["groups"] = self._groups[list(indices)]
        if self._ranks.device.type == "cuda":
            batch = {name: tensor.pin_memory() for name, tensor in batch.items()}
        return {name: tensor.to(self._ranks.device, non_blocking=True) for name, tensor in batch.items()}


def viewed(view: View, source: ClipSource, indices: Sequence[int], *, seed: int, epoch: int = 0) -> Batch:
    """What a view makes of some clips, and of the sound beside them where it hears."""
    hears = getattr(view, "hears", False)
    clips = footage_of(source, indices, epoch=epoch) if hears else source.clips(indices, epoch=epoch)
    return view(clips, ItemRandom(seed, epoch, indices))


def _numbered_labels(source: ClipSource) -> Tensor:
    labels = [item.label for item in source.items]
    if None in labels:
        raise TrainingError(
            f"the objective needs labels, and {labels.count(None)} of {len(labels)} clips have none; "
            "give the manifest labels, name splits that have them, or take an objective that needs none"
        )
    return _numbered([label for label in labels if label is not None])


def _numbered(names: Sequence[str]) -> Tensor:
    numbers = {name: number for number, name in enumerate(sorted(set(names)))}
    return torch.tensor([numbers[name] for name in names])
