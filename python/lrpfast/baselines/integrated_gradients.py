"""Integrated Gradients: the gradient on the way from a baseline to the input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lrpfast.attribution import Attribution
from lrpfast.baselines.filled import filled
from lrpfast.baselines.gradients import mean_gradient, require_count
from lrpfast.lrp import LRP
from lrpfast.model import Model, Source


def integrated_gradients(
    model: Model | Source,
    x: npt.ArrayLike,
    target: npt.ArrayLike | None = None,
    *,
    baseline: npt.ArrayLike = 0.0,
    steps: int = 32,
) -> Attribution:
    """Share out what a score gains between a baseline and the input.

    ``R = (x - b) . integral of grad f(b + t (x - b)) over t from 0 to 1``, by the midpoint rule.

    Parameters
    ----------
    model : Model, or what `lrpfast.load` takes
        The network.
    x, target
        As for `LRP.attribute`.
    baseline : array_like
        The input that stands for nothing, in the model's scale; a number, or an array that broadcasts to a sample.
    steps : int
        Gradients on the way. Relevance sums to the difference of the scores of `x` and `baseline` (completeness) up
        to the error of the rule, which shrinks as they grow.

    Returns
    -------
    Attribution

    Raises
    ------
    InputError
        As from `LRP.attribute`; or the baseline does not fit a sample, or `steps` is below 1.

    References
    ----------
    Sundararajan, Taly, Yan, *Axiomatic Attribution for Deep Networks*, ICML 2017.
    """
    require_count("steps", steps)
    lrp = LRP(model, "gradient")
    explained = lrp.attribute(x, target)
    given = explained.input
    way = given - filled("baseline", baseline, given)
    path = (given - (1 - (step + 0.5) / steps) * way for step in range(steps))
    several = explained.relevance.ndim > given.ndim
    relevance = mean_gradient(lrp, explained, path) * (way[:, np.newaxis] if several else way)
    origin = explained.origin and replace(explained.origin, method="Integrated Gradients")
    return replace(explained, relevance=relevance.astype(given.dtype), audit=None, origin=origin)
