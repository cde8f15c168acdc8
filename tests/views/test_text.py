"""Views of captions leave out as many words as they should, and draw for each caption by itself."""

import pytest

from mmssl.errors import ConfigError
from mmssl.functional.random import ItemRandom
from mmssl.views.text import WordsView

MANY = 400


def test_words_are_left_out_and_the_rest_keeps_its_order() -> None:
    sentence = "a b c d e f g h i j"
    found = WordsView(word_dropout=0.3)([sentence] * MANY, ItemRandom(0, 0, range(MANY)))
    assert sum(len(text.split()) for text in found) / MANY == pytest.approx(7, abs=0.3)
    assert all("".join(text.split()) == "".join(sorted(text.split())) for text in found)


def test_a_caption_never_becomes_empty() -> None:
    found = WordsView(word_dropout=0.99)(["dog", "two dogs"] * 50, ItemRandom(0, 0, range(100)))
    assert set(found) == {"dog", "two", "dogs"}
    assert WordsView()([""], ItemRandom(0, 0, [0])) == [""]


def test_case_is_drawn_for_each_caption() -> None:
    view = WordsView(word_dropout=0.0, lower_probability=0.25, upper_probability=0.5)
    found = view(["Two Dogs"] * MANY, ItemRandom(0, 0, range(MANY)))
    shares = [found.count(text) / MANY for text in ("two dogs", "TWO DOGS", "Two Dogs")]
    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=0.08)


def test_a_caption_gets_the_same_in_every_batch() -> None:
    view = WordsView(word_dropout=0.5)
    texts = [f"{number} b c d e f" for number in range(6)]
    whole = view(texts, ItemRandom(1, 2, range(6)))
    assert view([texts[4], texts[1]], ItemRandom(1, 2, [4, 1])) == [whole[4], whole[1]]


def test_probabilities_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="word_dropout"):
        WordsView(word_dropout=1.0)
    with pytest.raises(ConfigError, match="sum"):
        WordsView(lower_probability=0.6, upper_probability=0.6)
