"""Towers of an encoder of images and text that stay as they are, whole or in their first stages, while the rest learns."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn

from mmssl.errors import ConfigError
from mmssl.models.image_text import ImageTextEncoder, each_frame
from mmssl.models.staged import Staged
from mmssl.models.towers import ImageTextTowers
from mmssl.objectives.objective import FrozenPart

Tower = Literal["image", "text"]
ENTRIES: dict[str, Tower] = {"image": "image", "frames": "image", "tokens": "text"}
"""Entries of a batch, and the tower that sees each."""


class LockedTowers:
    """Locks towers, and tells what of them may be computed once.

    Args:
        encoder: Of images and text; its locked parameters are set to want no gradient.
        whole: Towers that stay as they are.
        stages: How many of a tower's first stages stay as they are; its BatchNorms then keep their statistics everywhere.

    Raises:
        ConfigError: If a tower is locked both ways, cannot be told from the rest, or has no such stages.
    """

    def __init__(self, encoder: ImageTextEncoder, whole: Sequence[Tower], stages: Mapping[Tower, int]) -> None:
        self._encoder = encoder
        self._stages = dict(stages)
        self._locked: dict[Tower, nn.Module] = {name: _tower(encoder, name) for name in whole}
        self._still: list[nn.Module] = []
        for name, count in stages.items():
            if name in self._locked:
                raise ConfigError(f"lock_stages: the tower of {name} is locked as a whole; take it out of lock")
            if not isinstance(encoder, ImageTextTowers):
                raise ConfigError("lock_stages: is for the encoder image_text; of open_clip, towers are locked whole")
            tower = _tower(encoder, name)
            if not isinstance(tower, Staged):
                raise ConfigError(f"lock_stages: {type(tower).__name__} does not come in stages; lock it whole, or not")
            parts = tower.stages()
            if not 1 <= count < len(parts):
                raise ConfigError(
                    f"lock_stages: {name} is {count}; {type(tower).__name__} has {len(parts)} stages, the last of which "
                    f"learns: 1 to {len(parts) - 1}"
                )
            self._locked[name] = nn.ModuleList(parts[:count])
            self._still += [part for part in tower.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
        for part in self._locked.values():
            part.requires_grad_(False)

    def eval(self) -> None:
        """Puts what is locked into evaluation mode."""
        for part in (*self._locked.values(), *self._still):
            part.eval()

    @property
    def frozen(self) -> dict[str, FrozenPart]:
        """See `Objective`; of `image_text`, whose towers can be told from their projections."""
        towers = self._encoder
        if not isinstance(towers, ImageTextTowers):
            return {}
        found = {}
        for entry, name in ENTRIES.items():
            if name in self._locked:
                forward = _forward(towers, name, self._stages.get(name))
                if entry == "frames":
                    forward = partial(each_frame, forward)
                found[entry] = FrozenPart(self._locked[name], forward, f"{towers.framing}")
        return found

    def rest(self, entry: str) -> Callable[[Tensor], Tensor]:
        """What turns what a tower's locked part made of an entry of a batch into embeddings of the encoder."""
        one = self._rest_of_one(ENTRIES[entry])
        if entry != "frames":
            return one
        return lambda states: self._encoder.over_frames(each_frame(one, states))

    def _rest_of_one(self, name: Tower) -> Callable[[Tensor], Tensor]:
        """The same for single images and sentences."""
        towers = self._encoder
        assert isinstance(towers, ImageTextTowers)
        tower = _tower(towers, name)
        projection = towers.image_projection if name == "image" else towers.text_projection
        if name not in self._stages:
            return projection
        assert isinstance(tower, Staged)
        upper = partial(tower.upper, stages=self._stages[name])
        return lambda states: projection(upper(states))


def _forward(towers: ImageTextTowers, name: Tower, stages: int | None) -> Callable[[Tensor], Tensor]:
    if name == "image":
        return towers.image_features if stages is None else partial(towers.image_states, stages=stages)
    if stages is None:
        return towers.text
    assert isinstance(towers.text, Staged)
    return partial(towers.text.lower, stages=stages)


def _tower(encoder: ImageTextEncoder, name: Tower) -> nn.Module:
    found: Any = encoder
    if not isinstance(encoder, ImageTextTowers):
        model: Any = encoder.model
        if name == "image":
            found = model.visual
        elif hasattr(model, "text"):
            found = model.text
        else:
            raise ConfigError("lock: the text tower of this open_clip model is no module of its own; lock image alone")
    else:
        found = encoder.image if name == "image" else encoder.text
    module: nn.Module = found
    return module
