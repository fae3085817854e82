"""Samples of two axes: the input in grey, the heatmap, and one over the other."""

from __future__ import annotations

import numpy as np
import pytest

from lrpfast.errors import InputError
from lrpfast.view.maps import HeatmapView, enlarged, grey, heat
from lrpfast.view.render import image

RNG = np.random.default_rng(4)


@pytest.mark.parametrize(("size", "factor"), [(28, 16), (224, 2), (227, 2), (448, 1), (1000, 1)])
def test_enlarging_is_by_a_whole_factor(size, factor):
    block = enlarged(np.zeros((size // 2, size), np.uint8), 448)
    assert (block.width, block.height) == (size * factor, size // 2 * factor)


@pytest.mark.parametrize("axis", [0, 2])
def test_grey_input_reaches_from_black_to_white(axis):
    sample = np.moveaxis(np.linspace(-3, 5, 48).reshape(4, 4, 3), -1, axis)
    found = grey(sample, axis)
    assert found.shape == (4, 4)
    assert (found.min(), found.max()) == (0, 255)


@pytest.mark.parametrize("value", [7.0, np.nan, np.inf])
def test_grey_of_a_flat_input_is_flat(value):
    assert not grey(np.full((1, 3, 3), value), 0).any()


def test_over_the_input_relevance_hides_it_the_more_the_stronger_it_is():
    values = np.zeros((2, 2))
    values[0, 0], values[1, 1] = 1.0, -1.0
    photo = np.full((8, 8, 3), (200, 30, 90), np.uint8)
    found = heat(values, "bwr", photo)
    assert (found[:4, :4] == (255, 0, 0)).all()
    assert (found[4:, 4:] == (0, 0, 255)).all()
    luminance = 0.299 * 200 + 0.587 * 30 + 0.114 * 90
    assert np.abs(found[:4, 4:] - (0.6 * luminance + 0.4 * 255)).max() <= 1


def test_view_draws_input_and_relevance_in_the_same_size():
    view = HeatmapView(RNG.normal(size=(3, 4, 6)), RNG.normal(size=(3, 4, 6)), 0)
    assert view.values.shape == (4, 6)
    shown = view.input(60), view.relevance(np.ones((4, 6)), "bwr", 60, False)
    assert {image(block).size for block in shown} == {(62, 42)}
    assert (np.asarray(image(shown[1]))[1:-1, 1:-1] == (255, 0, 0)).all()


def test_view_over_the_input_is_the_heatmap_over_it():
    sample = RNG.normal(size=(1, 5, 5))
    view = HeatmapView(np.zeros((1, 5, 5)), sample, 0)
    pale = np.asarray(image(view.relevance(np.zeros((5, 5)), "bwr", 5, True)))[1:-1, 1:-1, 0]
    np.testing.assert_allclose(pale, 0.6 * grey(sample, 0) + 0.4 * 255, atol=1)


def test_relevance_that_is_not_finite_is_refused():
    with pytest.raises(InputError, match="not finite"):
        HeatmapView(np.full((2, 2), np.nan), np.zeros((2, 2)), None)
