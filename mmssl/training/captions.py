"""The captions of clips, turned into numbers once, one of each clip drawn anew in every epoch."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from mmssl.data.dataset import ClipSource
from mmssl.errors import TrainingError
from mmssl.functional.random import ItemRandom
from mmssl.objectives.objective import kept_name
from mmssl.views.text import TextView

TEXTS_AT_ONCE = 4096


class Captions:
    """Gives a batch a caption of each clip.

    Captions that differ in case and spaces alone are one caption.

    Args:
        source: Its clips hold a caption each, or several, one a line.
        tokenize: Turns sentences into numbers, [sentences, length].
        features: Makes of these numbers what batches then carry in their place; nothing is made where None.
        view: Changes the captions that were drawn, which are then turned into numbers batch by batch; None for as they are.

    Raises:
        TrainingError: If a clip has no caption.
    """

    def __init__(
        self,
        source: ClipSource,
        tokenize: Callable[[Sequence[str]], Tensor],
        features: Callable[[Tensor], Tensor] | None = None,
        view: TextView | None = None,
    ) -> None:
        several = [item.captions for item in source.items]
        missing = [item.id for item, lines in zip(source.items, several, strict=True) if not lines]
        if missing:
            raise TrainingError(
                f"the objective needs captions, and {len(missing)} of {len(several)} clips have none, such as {missing[0]!r}; "
                "give the manifest captions, name splits that have them, or leave these rows out"
            )
        numbers: dict[str, int] = {}
        texts: list[str] = []
        own = []
        for lines in several:
            own.append([numbers.setdefault(line.lower(), len(numbers)) for line in lines])
            for number, line in zip(own[-1], lines, strict=True):
                if number == len(texts):
                    texts.append(line)
        self._texts, self._tokenize, self._view = texts, tokenize, view
        self._values = torch.empty(0)
        self._name = "tokens" if features is None else kept_name("tokens")
        if view is None:
            parts = [tokenize(texts[start : start + TEXTS_AT_ONCE]) for start in range(0, len(texts), TEXTS_AT_ONCE)]
            tokens = _trimmed(torch.cat(parts))
            self._values = tokens if features is None else features(tokens)
        self._counts = torch.tensor([len(each) for each in own])
        self._first = self._counts.cumsum(0) - self._counts
        self._numbers = torch.tensor([number for each in own for number in each])

    def of(self, random: ItemRandom) -> dict[str, Tensor]:
        """`tokens` of a caption of each clip, or their features, and `caption`, its number.

        Args:
            random: Of the epoch; its items are the clips' positions.
        """
        items = torch.tensor(random.items)
        counts = self._counts[items]
        drawn = (random.uniform("which caption").double() * counts).long().clamp(max=counts - 1)
        chosen = self._numbers[self._first[items] + drawn]
        if self._view is not None:
            texts = self._view([self._texts[number] for number in chosen.tolist()], random)
            return {"tokens": self._tokenize(texts), "caption": chosen}
        values = self._values[chosen]
        return {self._name: values.float() if values.is_floating_point() else values, "caption": chosen}


def _trimmed(tokens: Int[Tensor, "texts length"]) -> Int[Tensor, "texts longest"]:
    """Tokens up to the end of the longest sentence, after which all are 0."""
    return tokens[:, : int(tokens.any(0).nonzero().amax()) + 1]
