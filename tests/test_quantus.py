"""Explanations the way Quantus asks for them."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from lrpfast import LRP, InputTypeError, baselines
from lrpfast.quantus import explain_func
from oracles.graphs import model_of, small_cnn

MODEL = model_of(small_cnn())
X = np.random.default_rng(1).standard_normal((3, 3, 12, 12)).astype(np.float32)
Y = np.array([1, 2, 3])


def metric(model, x_batch, y_batch, explain_func, explain_func_kwargs=None, device=None):
    """What a metric of Quantus does before it measures: arguments by name, and the device among the options."""
    options = dict(explain_func_kwargs or {})
    if device is not None:
        options["device"] = device
    return explain_func(model=model, inputs=x_batch, targets=y_batch, **options)


def test_a_metric_gets_relevance_of_the_shape_of_its_batch():
    found = metric(MODEL, X, Y, explain_func)
    assert (found == LRP(MODEL).attribute(X, Y).relevance).all()


def test_options_choose_the_rules():
    found = metric(MODEL, X, Y, explain_func, {"composite": "gradient_x_input"}, device="cpu")
    assert (found == LRP(MODEL, "gradient_x_input").attribute(X, Y).relevance).all()


@pytest.mark.parametrize("handed_over", [None, object()])
def test_what_explains_may_be_given_whatever_model_is_handed_over(handed_over):
    lrp = LRP(MODEL, "epsilon_plus")
    found = metric(handed_over, X, Y, explain_func, {"attribute": lrp.attribute})
    assert (found == lrp.attribute(X, Y).relevance).all()
    occlusion = partial(baselines.occlusion, MODEL, size=4)
    found = metric(handed_over, X, Y, explain_func, {"attribute": occlusion})
    assert (found == occlusion(X, Y).relevance).all()


def test_a_model_of_another_framework_alone_is_refused():
    with pytest.raises(InputTypeError, match=r"a model of type object, .* explain_func_kwargs=\{'attribute'"):
        metric(object(), X, Y, explain_func)


@pytest.mark.filterwarnings("ignore")
def test_a_metric_of_quantus_that_needs_no_model_measures_it():
    quantus = pytest.importorskip("quantus")
    sparseness = quantus.Sparseness(disable_warnings=True, display_progressbar=False)
    options = {"attribute": LRP(MODEL).attribute}
    found = sparseness(None, X, Y, None, explain_func=explain_func, explain_func_kwargs=options, device="cpu")
    given = sparseness(None, X, Y, LRP(MODEL).attribute(X, Y).relevance)
    assert len(found) == 3
    np.testing.assert_allclose(found, given)


@pytest.mark.filterwarnings("ignore")
def test_a_metric_of_quantus_that_asks_the_model_measures_it():
    """The recipe of docs/quality.md: Quantus takes models of torch alone, so one hands on what lrpfast computes."""
    quantus, torch = pytest.importorskip("quantus"), pytest.importorskip("torch")
    lrp = LRP(MODEL)

    class Scores(torch.nn.Module):
        def forward(self, x):
            return torch.from_numpy(lrp.scores(x.numpy()))

    flipping = quantus.PixelFlipping(
        features_in_step=36, perturb_baseline="black", disable_warnings=True, display_progressbar=False
    )
    options = {"attribute": lrp.attribute}
    found = flipping(Scores().eval(), X, Y, None, explain_func=explain_func, explain_func_kwargs=options, device="cpu")
    assert np.shape(found) == (3, 432 // 36)
    assert np.isfinite(found).all()
