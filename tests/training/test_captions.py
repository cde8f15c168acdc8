from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from mmssl.data.dataset import ClipItem
from mmssl.errors import TrainingError
from mmssl.functional.random import ItemRandom
from mmssl.training.captions import Captions
from mmssl.views.text import WordsView
from tests.training.tiny import TinyClips


class Captioned(TinyClips):
    def __init__(self, captions: Sequence[str | None]) -> None:
        super().__init__(len(captions))
        self.captions = captions

    @property
    def items(self) -> Sequence[ClipItem]:
        return [ClipItem(f"r{i}#0", f"r{i}", None, None, f"r{i}", text, (0.0,)) for i, text in enumerate(self.captions)]


calls: list[list[str]] = []


def tokenize(texts: Sequence[str]) -> Tensor:
    calls.append(list(texts))
    return torch.tensor([[len(text), text.count(" ")] for text in texts])


def test_each_caption_is_turned_into_numbers_once_and_drawn_anew_in_every_epoch() -> None:
    calls.clear()
    captions = Captions(Captioned(["a dog\n\n two  dogs \nthree", "A Dog", "cat"]), tokenize)
    assert calls == [["a dog", "two dogs", "three", "cat"]]
    drawn = torch.stack([captions.of(ItemRandom(0, epoch, [0, 1, 2]))["caption"] for epoch in range(300)])
    assert set(drawn[:, 1].tolist()) == {0}, "what differs in case alone is one caption"
    assert set(drawn[:, 2].tolist()) == {3}
    shares = torch.bincount(drawn[:, 0]) / 300
    assert shares.tolist() == pytest.approx([1 / 3] * 3, abs=0.1)
    batch = captions.of(ItemRandom(0, 0, [2, 1]))
    assert batch["tokens"].tolist() == [[3, 0], [5, 1]]


def test_an_item_gets_the_same_caption_in_every_batch() -> None:
    captions = Captions(Captioned(["a\nb\nc\nd"] * 5), tokenize)
    whole = captions.of(ItemRandom(3, 2, range(5)))["caption"]
    assert captions.of(ItemRandom(3, 2, [4, 1]))["caption"].tolist() == [whole[4], whole[1]]


def test_clips_without_a_caption_are_named() -> None:
    with pytest.raises(TrainingError, match="2 of 3 clips have none, such as 'r1#0'"):
        Captions(Captioned(["a", None, " \n "]), tokenize)


def test_a_text_view_changes_captions_anew_in_every_epoch() -> None:
    captions = Captions(Captioned(["one two three four"]), tokenize, view=WordsView(word_dropout=0.5))
    spaces = [captions.of(ItemRandom(0, epoch, [0]))["tokens"][0, 1].item() for epoch in range(60)]
    assert set(spaces) == {0, 1, 2, 3}
    assert captions.of(ItemRandom(0, 7, [0]))["caption"].tolist() == [0]
