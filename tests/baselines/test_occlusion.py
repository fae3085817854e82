"""Occlusion against its formula, window by window."""

from __future__ import annotations

import numpy as np
import pytest

from lrpfast import LRP, InputError, InputTypeError
from lrpfast.baselines import occlusion
from lrpfast.model.graph import Graph
from lrpfast.model.layers import Dense
from oracles.graphs import chain, model_of, small_cnn

NET = small_cnn()
MODEL = model_of(NET)
CHANNELS_LAST = model_of(Graph("x", (12, 12, 3), NET.nodes, NET.output, input_permutation=(2, 0, 1)))
X = np.random.default_rng(1).standard_normal((3, 3, 12, 12)).astype(np.float32)
TARGETS = np.array([1, 2, 3])


def by_formula(x, target, rows, columns, size, value):
    """The map (H, W) of one sample, from windows that begin at all pairs of `rows` and `columns`."""
    lrp = LRP(MODEL, "gradient", "reference")
    whole = lrp.scores(x[np.newaxis])[0, target]
    losses = [[[] for _ in range(12)] for _ in range(12)]
    for top in rows:
        for left in columns:
            hidden = x.copy()
            hidden[:, top : top + size, left : left + size] = value
            lost = whole - lrp.scores(hidden[np.newaxis])[0, target]
            for row in range(top, top + size):
                for column in range(left, left + size):
                    losses[row][column].append(lost)
    return np.array([[np.mean(pixel) for pixel in row] for row in losses])


@pytest.mark.parametrize(
    ("size", "stride", "starts"), [(4, 4, (0, 4, 8)), (4, 2, (0, 2, 4, 6, 8)), (5, 4, (0, 4, 7)), (12, 3, (0,))]
)
def test_a_pixel_gets_the_mean_loss_of_the_windows_that_hide_it(size, stride, starts):
    found = occlusion(MODEL, X, TARGETS, size=size, stride=stride, value=0.5).relevance
    for sample, target, relevance in zip(X, TARGETS, found, strict=True):
        expected = by_formula(sample.astype(np.float64), target, starts, starts, size, 0.5)
        np.testing.assert_allclose(relevance.sum(axis=0), expected, atol=2e-5 * np.abs(expected).max())
        assert (relevance == relevance[:1]).all(), "the channels share evenly"


def test_size_and_stride_follow_the_input_unless_they_are_given():
    for found, expected in (({}, {"size": 1, "stride": 1}), ({"size": 6}, {"size": 6, "stride": 3})):
        assert (occlusion(MODEL, X, 1, **found).relevance == occlusion(MODEL, X, 1, **expected).relevance).all()


def test_the_layout_of_the_input_does_not_matter():
    value = np.array([0.1, -0.2, 0.3])
    first = occlusion(MODEL, X, TARGETS, size=4, value=value.reshape(3, 1, 1))
    last = occlusion(CHANNELS_LAST, np.moveaxis(X, 1, -1), TARGETS, size=4, value=value)
    assert last.relevance.shape == (3, 12, 12, 3)
    assert (np.moveaxis(last.relevance, -1, 1) == first.relevance).all()
    assert (last.heatmap() == first.heatmap()).all()


def test_each_element_of_a_vector_may_be_hidden_alone():
    weight = np.array([[1.0, -2.0, 3.0], [0.5, 0.0, 1.0]], np.float32)
    x = np.array([[2.0, 1.0, -1.0]], np.float32)
    found = occlusion(model_of(chain([Dense(weight, None)], (3,))), x, 0, size=1)
    np.testing.assert_allclose(found.relevance, [[2.0, -2.0, -3.0]], rtol=1e-6)
    assert found.audit is None


def test_several_classes_and_seeds_are_explained_too():
    both = occlusion(MODEL, X, [[0, 1], [2, 3], [4, 0]], size=4).relevance
    each = [occlusion(MODEL, X, column, size=4).relevance for column in ([0, 2, 4], [1, 3, 0])]
    np.testing.assert_allclose(both, np.stack(each, axis=1), atol=1e-6)
    seed = np.zeros((3, 5), np.float32)
    seed[:, 1], seed[:, 3] = 1, -1
    one, three = (occlusion(MODEL, X, target, size=4).relevance for target in (1, 3))
    np.testing.assert_allclose(occlusion(MODEL, X, seed, size=4).relevance, one - three, atol=1e-6)


def test_what_is_explained_is_chosen_from_the_whole_input():
    assert (occlusion(MODEL, X, size=6).target == LRP(MODEL).attribute(X).target).all()


def test_the_input_is_not_modified():
    x = X.copy()
    x.flags.writeable = False
    occlusion(MODEL, x, size=6)
    assert (x == X).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 13}, "size is a number of pixels from 1 to 12, the input's shortest side; not 13"),
        ({"size": 0}, "not 0"),
        ({"size": 4, "stride": 5}, "stride is a number of pixels from 1 to 4, the window's size; not 5"),
        ({"size": 4, "stride": 0}, "not 0"),
        ({"value": np.zeros((2, 1, 1))}, "value is a number, or an array of numbers that broadcasts to a sample"),
        ({"target": 5}, "target 5 is out of range"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        occlusion(MODEL, X, **options)


def test_inputs_are_checked_as_by_lrp():
    with pytest.raises(InputError, match="A batch axis is missing"):
        occlusion(MODEL, X[0])
    with pytest.raises(InputTypeError, match="real numbers"):
        occlusion(MODEL, X.astype(str))


def test_it_is_told_by_its_name():
    origin = occlusion(MODEL, X[:1]).origin
    assert (origin.method, origin.conserves) == ("Occlusion", False)
