"""Samples of tokens: words in their order, each on the shade of its relevance."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from lrpfast.errors import InputError
from lrpfast.view.blocks import INK, PAPER, Box, Words
from lrpfast.view.tokens import WIDTH, TokenView


def shaded(words, relevance, colors="bwr"):
    view = TokenView(relevance, None, words)
    return view.relevance(np.clip(view.values, -1, 1), colors, 448, False)


def boxes(block):
    return [(left, top, mark) for left, top, mark in block.marks if isinstance(mark, Box)]


def texts(block):
    return [mark for *_, mark in block.marks if isinstance(mark, Words)]


def test_words_are_read_in_the_order_of_the_tokens():
    words = [f"word{number}" for number in range(60)]
    block = shaded(words, np.zeros(60))
    assert [mark.text for mark in texts(block)] == words
    places = [(top, left) for left, top, _ in boxes(block)]
    assert places == sorted(places)
    assert len({top for top, _ in places}) > 1
    assert block.width <= WIDTH


def test_each_word_has_the_color_of_its_relevance():
    block = shaded(["good", "a", "bad"], [1.0, 0.0, -1.0])
    assert [mark.color for *_, mark in boxes(block)] == [(255, 0, 0), (255, 255, 255), (0, 0, 255)]


def test_ink_is_light_on_dark_and_dark_on_light():
    assert [mark.color for mark in texts(shaded(["a", "b"], [0.0, -1.0], "seismic"))] == [INK, PAPER]
    assert [mark.color for mark in texts(shaded(["a", "b"], [0.0, -1.0], "coldnhot"))] == [PAPER, INK]


def test_words_do_not_overlap():
    block = shaded(["several", "words", "beside", "each", "other"], np.zeros(5))
    ends = [(left, left + mark.width) for left, _, mark in boxes(block)]
    assert all(end < start for (_, end), (start, _) in pairwise(ends))


@pytest.mark.parametrize(("word", "drawn"), [("", "␣"), ("  \t", "␣"), ("##ing", "##ing"), ("Ġthe", "Ġthe")])
def test_blank_words_can_be_seen_and_marks_of_tokenizers_are_kept(word, drawn):
    assert texts(shaded([word], [1.0]))[0].text == drawn


def test_word_longer_than_a_line_is_cut():
    block = shaded(["short", "long" * 200], [1.0, 1.0])
    assert block.width <= WIDTH
    assert texts(block)[1].text.endswith("…")


def test_relevance_of_embedded_tokens_is_summed():
    assert TokenView(np.ones((2, 5)), 1, ["a", "b"]).values.tolist() == [5.0, 5.0]


@pytest.mark.parametrize("relevance", [[1.0, 2.0], [[1.0], [2.0], [3.0]]])
def test_each_token_needs_a_word(relevance):
    with pytest.raises(InputError, match="one word a token"):
        TokenView(relevance, None, ["a", "b", "c"])
