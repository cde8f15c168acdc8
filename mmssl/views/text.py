"""Views of captions: words left out, and letters in another case."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from mmssl.config import Choice
from mmssl.errors import ConfigError
from mmssl.functional.random import ItemRandom


@runtime_checkable
class TextView(Protocol):
    """Turns captions into captions; what one becomes depends on it and its random numbers alone."""

    def __call__(self, texts: Sequence[str], random: ItemRandom) -> list[str]:
        """As many captions, in their order."""


class WordsView:
    """Leaves out some words of a caption, and writes some captions in small or in capital letters alone.

    Args:
        word_dropout: Share of the words that are left out; one word is always kept.
        lower_probability: Of a caption in small letters.
        upper_probability: Of a caption in capital letters. Towers whose tokens know no case see no difference.

    Raises:
        ConfigError: If a probability is outside of 0 to 1, or both cases' together are above 1.

    Source:
        Word dropout: Iyyer et al. 2015, "Deep unordered composition rivals syntactic methods for text classification", 3.1.
    """

    def __init__(
        self, *, word_dropout: float = 0.1, lower_probability: float = 0.0, upper_probability: float = 0.0
    ) -> None:
        shares = (word_dropout, lower_probability, upper_probability, lower_probability + upper_probability)
        if not all(0 <= share <= 1 for share in shares) or word_dropout == 1:
            raise ConfigError(
                "word_dropout must be in [0, 1), lower_probability and upper_probability in [0, 1] and their sum at most 1"
            )
        self.word_dropout = word_dropout
        self.lower_probability = lower_probability
        self.upper_probability = upper_probability

    def __call__(self, texts: Sequence[str], random: ItemRandom) -> list[str]:
        """The captions."""
        several = [text.split() for text in texts]
        drawn = random.uniform("words left out", (max(map(len, several), default=0),)).tolist()
        cases = random.uniform("case").tolist()
        return [self._one(*given) for given in zip(several, drawn, cases, strict=True)]

    def _one(self, words: list[str], drawn: list[float], case: float) -> str:
        kept = [word for word, draw in zip(words, drawn, strict=False) if draw >= self.word_dropout]
        if not kept and words:
            kept = [words[max(range(len(words)), key=drawn.__getitem__)]]
        text = " ".join(kept)
        if case < self.lower_probability:
            return text.lower()
        return text.upper() if case < self.lower_probability + self.upper_probability else text


TEXT_VIEWS: dict[str, Callable[..., TextView]] = {"words": WordsView}
"""Views of captions by name in a recipe."""

TEXT_VIEW_CHOICE = Choice(TEXT_VIEWS, "text view")
