"""Samples of three axes: evenly spaced slices in a row."""

from __future__ import annotations

import numpy as np
import pytest

from lrpfast.view.blocks import Raster, Words
from lrpfast.view.render import image
from lrpfast.view.slices import MOST, WIDTH, SliceView

RNG = np.random.default_rng(6)


def texts(block):
    return [mark.text for *_, mark in block.marks if isinstance(mark, Words)]


@pytest.mark.parametrize("depth", [1, 2, 5, 8, 9, 24, 200])
def test_slices_are_evenly_spaced_from_the_first_to_the_last(depth):
    view = SliceView(np.zeros((depth, 4, 4)), np.zeros((depth, 4, 4)), None)
    assert len(view.chosen) == min(depth, MOST)
    assert (view.chosen[0], view.chosen[-1]) == (0, depth - 1)
    assert np.ptp(np.diff(view.chosen)) <= 1 if depth > 1 else True


def test_large_slices_are_fewer():
    view = SliceView(np.zeros((30, 10, 400)), np.zeros((30, 10, 400)), None)
    assert view.chosen.tolist() == [0, 14, 29]


@pytest.mark.parametrize("axis", [0, 3])
def test_each_slice_shows_its_relevance_and_its_number(axis):
    relevance = RNG.uniform(-1, 1, (3, 5, 5))
    view = SliceView(np.expand_dims(relevance, axis), np.expand_dims(relevance, axis), axis)
    block = view.relevance(view.values, "bwr", 448, False)
    assert texts(block) == ["slice 0", "slice 1", "slice 2"]
    found = [mark.pixels for *_, mark in block.marks if isinstance(mark, Raster)]
    for place, pixels in enumerate(found):
        assert ((pixels[..., 2] < 255) == (relevance[place] > 0.002)).mean() > 0.9


def test_input_and_relevance_line_up():
    view = SliceView(np.zeros((4, 20, 20)), RNG.normal(size=(4, 20, 20)), None)
    rows = view.input(448), view.relevance(np.zeros((4, 20, 20)), "bwr", 448, True)
    lefts = [[left for left, _, mark in row.marks if isinstance(mark, Raster)] for row in rows]
    assert lefts[0] == lefts[1]
    assert image(rows[0]).width <= 1.3 * WIDTH
