"""SmoothGrad against its formula."""

from __future__ import annotations

import numpy as np
import pytest

from lrpfast import LRP, InputError
from lrpfast.baselines import smooth_grad
from oracles.graphs import model_of, small_cnn

MODEL = model_of(small_cnn())
X = np.random.default_rng(1).standard_normal((3, 3, 12, 12)).astype(np.float32)


def by_formula(x, target, samples, noise, seed):
    """One sample's gradient, averaged over noise one copy at a time."""
    rng, lrp = np.random.default_rng(seed), LRP(MODEL, "gradient", "reference")
    sigma = noise * (x.max() - x.min())
    copies = [x + sigma * rng.standard_normal(x.shape) for _ in range(samples)]
    return np.mean([lrp.attribute(copy[np.newaxis], target).relevance[0] for copy in copies], axis=0)


def test_it_is_the_mean_of_gradients_at_noisy_copies():
    found = smooth_grad(MODEL, X, [1, 2, 3], samples=4, noise=0.1, seed=7)
    for index, target in enumerate([1, 2, 3]):
        expected = by_formula(X[index].astype(np.float64), target, 4, 0.1, 7)
        np.testing.assert_allclose(found.relevance[index], expected, atol=1e-5 * np.abs(expected).max())


def test_what_is_explained_is_chosen_without_noise():
    found, plain = smooth_grad(MODEL, X, samples=2), LRP(MODEL, "gradient").attribute(X)
    assert (found.target == plain.target).all()
    assert (found.output == plain.output).all()
    assert (found.relevance == smooth_grad(MODEL, X, plain.target, samples=2).relevance).all()


def test_with_hardly_any_noise_it_is_the_gradient():
    plain = LRP(MODEL, "gradient").attribute(X, 1).relevance
    np.testing.assert_allclose(smooth_grad(MODEL, X, 1, samples=1, noise=1e-7).relevance, plain, atol=1e-6)


def test_a_sample_gets_the_same_in_any_company():
    together = smooth_grad(MODEL, X, samples=3).relevance
    assert (together[2] == smooth_grad(MODEL, X[2:], samples=3).relevance[0]).all()


def test_seeds_differ_and_each_repeats():
    first, again, other = (smooth_grad(MODEL, X, samples=2, seed=seed).relevance for seed in (0, 0, 1))
    assert (first == again).all()
    assert not (first == other).all()


def test_several_classes_a_sample_share_the_noise():
    found = smooth_grad(MODEL, X, [[0, 1], [2, 3], [4, 0]], samples=2)
    assert found.relevance.shape == (3, 2, *X.shape[1:])
    single = smooth_grad(MODEL, X, [1, 3, 0], samples=2).relevance
    np.testing.assert_allclose(found.relevance[:, 1], single, atol=1e-6)


def test_an_attribution_of_it_has_no_audit_and_a_heatmap():
    found = smooth_grad(MODEL, X, samples=1)
    assert found.audit is None
    assert found.relevance.dtype == np.float32
    assert found.heatmap().shape == (12, 12, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "samples is how many gradients are averaged, 1 or more; not 0"),
        ({"noise": 0.0}, "noise is a share of the input's range"),
        ({"noise": np.nan}, "not nan"),
        ({"target": 5}, "target 5 is out of range"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        smooth_grad(MODEL, X, **options)


def test_it_is_told_by_its_name():
    origin = smooth_grad(MODEL, X[:1]).origin
    assert (origin.method, origin.conserves) == ("SmoothGrad", False)
