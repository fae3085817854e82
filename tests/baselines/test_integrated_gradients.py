"""Integrated Gradients against its formula and its axiom, completeness."""

from __future__ import annotations

import numpy as np
import pytest

from lrpfast import LRP, InputError
from lrpfast.baselines import integrated_gradients
from oracles.graphs import model_of, small_cnn

MODEL = model_of(small_cnn())
X = np.random.default_rng(1).standard_normal((3, 3, 12, 12)).astype(np.float32)
TARGETS = np.array([1, 2, 3])
NOTHING = {
    "zero": 0.0,
    "a number": -0.5,
    "a value for each channel": np.array([-0.2, 0.1, 0.4]).reshape(3, 1, 1),
    "a sample": np.random.default_rng(2).standard_normal((3, 12, 12)),
}


def scores(x):
    return LRP(MODEL, "gradient", "reference").scores(np.asarray(x, np.float64))


def test_it_is_the_difference_times_the_mean_gradient_at_midpoints_of_the_way():
    found = integrated_gradients(MODEL, X, TARGETS, baseline=-0.5, steps=3)
    lrp = LRP(MODEL, "gradient", "reference")
    x = X.astype(np.float64)
    gradients = [lrp.attribute(-0.5 + t * (x + 0.5), TARGETS).relevance for t in (1 / 6, 1 / 2, 5 / 6)]
    expected = (x + 0.5) * np.mean(gradients, axis=0)
    np.testing.assert_allclose(found.relevance, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("baseline", NOTHING)
def test_it_sums_to_the_difference_of_the_scores(baseline):
    nothing = np.broadcast_to(NOTHING[baseline], X.shape)
    gained = (scores(X) - scores(nothing))[np.arange(3), TARGETS]
    summed = integrated_gradients(MODEL, X, TARGETS, baseline=NOTHING[baseline], steps=400).relevance.sum((1, 2, 3))
    np.testing.assert_allclose(summed, gained, atol=0.01 * np.abs(gained).max())


def test_more_steps_come_closer_to_the_sum():
    gained = (scores(X) - scores(np.zeros_like(X)))[np.arange(3), TARGETS]

    def missed(steps):
        summed = integrated_gradients(MODEL, X, TARGETS, steps=steps).relevance.sum((1, 2, 3))
        return np.abs(summed - gained).max()

    assert missed(1) > 4 * missed(16) > 16 * missed(400)


def test_elements_that_equal_the_baseline_get_nothing():
    x = X.copy()
    x[:, :, :6] = 0.25
    assert (integrated_gradients(MODEL, x, baseline=0.25, steps=2).relevance[:, :, :6] == 0).all()


def test_several_classes_and_seeds_are_explained_too():
    both = integrated_gradients(MODEL, X, [[0, 1], [2, 3], [4, 0]], steps=4).relevance
    each = [integrated_gradients(MODEL, X, column, steps=4).relevance for column in ([0, 2, 4], [1, 3, 0])]
    np.testing.assert_allclose(both, np.stack(each, axis=1), atol=1e-6)
    seed = np.zeros((3, 5), np.float32)
    seed[:, 1], seed[:, 3] = 1, -1
    difference = integrated_gradients(MODEL, X, seed, steps=4).relevance
    one, three = (integrated_gradients(MODEL, X, target, steps=4).relevance for target in (1, 3))
    np.testing.assert_allclose(difference, one - three, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps is how many gradients are averaged, 1 or more; not 0"),
        ({"steps": 2.5}, "not 2.5"),
        ({"baseline": np.zeros((4, 12, 12))}, r"broadcasts to a sample of shape \(3, 12, 12\); not ndarray of shape"),
        ({"baseline": "black"}, "baseline is a number, or an array of numbers"),
        ({"baseline": np.inf}, "baseline holds values that are NaN or infinite"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        integrated_gradients(MODEL, X, **options)


def test_it_is_told_by_its_name():
    origin = integrated_gradients(MODEL, X[:1]).origin
    assert (origin.method, origin.conserves) == ("Integrated Gradients", False)
