"""BERT's tokens: words, and the pieces of words that are not in the vocabulary."""

import json
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from mmssl.errors import CheckpointError

LONGEST_WORD = 100
"""Characters; a longer word is unknown as a whole."""

_IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


class WordPieces:
    """Turns sentences into numbers of tokens, each sentence between `[CLS]` and `[SEP]`, filled up with `[PAD]`.

    Args:
        vocabulary: Tokens in the order of their numbers; those that continue a word begin with `##`.
        lower_case: Whether letters lose case and accents.

    Raises:
        CheckpointError: If the vocabulary lacks a token that every sentence needs.

    Source:
        Wu et al. 2016, arXiv:1609.08144, section 4.1, as Devlin et al. 2018, arXiv:1810.04805, cut words out of text.
    """

    def __init__(self, vocabulary: Sequence[str], *, lower_case: bool = True) -> None:
        self._vocabulary = tuple(vocabulary)
        self._lower_case = lower_case
        self._numbers = {token: number for number, token in enumerate(self._vocabulary)}
        missing = [token for token in ("[CLS]", "[SEP]", "[PAD]", "[UNK]") if token not in self._numbers]
        if missing:
            raise CheckpointError(f"the vocabulary of {len(self._vocabulary)} tokens is not BERT's: it lacks {missing}")
        self.pad = self._numbers["[PAD]"]
        self._kept: dict[str, list[int]] = {}

    def __call__(self, texts: Sequence[str], *, length: int) -> Int[Tensor, "texts length"]:
        """The tokens of sentences; what is too long is cut off before its `[SEP]`."""
        found = torch.full((len(texts), length), self.pad)
        for row, text in enumerate(texts):
            pieces = [piece for word in self._words(text) for piece in self._pieces(word)]
            numbers = [self._numbers["[CLS]"], *pieces[: length - 2], self._numbers["[SEP]"]]
            found[row, : len(numbers)] = torch.tensor(numbers)
        return found

    def _words(self, text: str) -> Iterator[str]:
        spaced = "".join(_alone(char) for char in text)
        if self._lower_case:
            spaced = "".join(
                char.lower() for char in unicodedata.normalize("NFD", spaced) if unicodedata.category(char) != "Mn"
            )
        return iter("".join(f" {char} " if _is_punctuation(char) else char for char in spaced).split())

    def _pieces(self, word: str) -> list[int]:
        """Numbers of the longest tokens that a word begins with, one after the other."""
        if word not in self._kept:
            self._kept[word] = self._cut(word)
        return self._kept[word]

    def _cut(self, word: str) -> list[int]:
        unknown = [self._numbers["[UNK]"]]
        if len(word) > LONGEST_WORD:
            return unknown
        found, start = [], 0
        while start < len(word):
            prefix = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next((end for end in ends if prefix + word[start:end] in self._numbers), None)
            if end is None:
                return unknown
            found.append(self._numbers[prefix + word[start:end]])
            start = end
        return found

    def packed(self) -> UInt8[Tensor, " bytes"]:
        """Everything there is to know of it, as a tensor that can lie among weights."""
        content = json.dumps({"lower_case": self._lower_case, "vocabulary": self._vocabulary}, ensure_ascii=False)
        return torch.frombuffer(bytearray(content.encode()), dtype=torch.uint8)

    @staticmethod
    def unpacked(packed: UInt8[Tensor, " bytes"]) -> "WordPieces":
        """What `packed` was made of."""
        content = json.loads(bytes(packed.cpu().numpy()).decode())
        return WordPieces(content["vocabulary"], lower_case=content["lower_case"])

    @staticmethod
    def read(folder: Path) -> "WordPieces":
        """The tokens of a model's folder, from its `vocab.txt` or `tokenizer.json`.

        Raises:
            CheckpointError: If there is neither, or it is damaged or of another kind.
        """
        lines, whole, settings = (folder / name for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json"))
        try:
            given: dict[str, Any] = json.loads(settings.read_text(encoding="utf-8")) if settings.is_file() else {}
            if lines.is_file():
                return WordPieces(
                    lines.read_text(encoding="utf-8").rstrip("\n").split("\n"),
                    lower_case=given.get("do_lower_case", True),
                )
            content = json.loads(whole.read_text(encoding="utf-8"))
            numbers: dict[str, int] = content["model"]["vocab"]
            lower_case = (content.get("normalizer") or {}).get("lowercase", given.get("do_lower_case", True))
            return WordPieces(sorted(numbers, key=numbers.__getitem__), lower_case=lower_case)
        except FileNotFoundError as error:
            raise CheckpointError(f"{folder}: holds neither vocab.txt nor tokenizer.json of a BERT") from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{folder}: its vocabulary is damaged or not BERT's: {error!r}") from error


def _alone(char: str) -> str:
    """A character as a word of its own where it is an ideograph, a space where it is one, nothing where it is invisible."""
    if char in "\t\n\r" or unicodedata.category(char) == "Zs":
        return " "
    if char in "\0\ufffd" or unicodedata.category(char).startswith("C"):
        return ""
    return f" {char} " if any(first <= ord(char) <= last for first, last in _IDEOGRAPHS) else char


def _is_punctuation(char: str) -> bool:
    """Whether a character is a word of its own: of Unicode's punctuation, or a symbol of ASCII."""
    return unicodedata.category(char).startswith("P") or (char.isascii() and not char.isalnum() and char.isprintable())
