"""SmoothGrad: the gradient, averaged over noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lrpfast.attribution import Attribution
from lrpfast.baselines.gradients import mean_gradient, require_count
from lrpfast.errors import InputError
from lrpfast.lrp import LRP
from lrpfast.model import Model, Source


def smooth_grad(
    model: Model | Source,
    x: npt.ArrayLike,
    target: npt.ArrayLike | None = None,
    *,
    samples: int = 25,
    noise: float = 0.15,
    seed: int = 0,
) -> Attribution:
    """Average the gradient of a score over copies of the input with Gaussian noise.

    ``R = mean of grad f(x + sigma n),  sigma = noise (max x - min x)``

    Parameters
    ----------
    model : Model, or what `lrpfast.load` takes
        The network.
    x, target
        As for `LRP.attribute`. A `target` of None is the highest score without noise.
    samples : int
        Copies of each input.
    noise : float
        Standard deviation of the noise, as a share of the range of a sample's values.
    seed : int
        Chooses the noise, which is the same for every sample of a batch: a sample gets the same explanation in any
        company.

    Returns
    -------
    Attribution
        How much the score grows with each input element: no shares of the score, and often looked at by magnitude.

    Raises
    ------
    InputError
        As from `LRP.attribute`; or `samples` is below 1, or `noise` is no finite number above 0.

    References
    ----------
    Smilkov et al., *SmoothGrad: removing noise by adding noise*, 2017.
    """
    require_count("samples", samples)
    if not (np.isfinite(noise) and noise > 0):
        raise InputError(f"noise is a share of the input's range, above 0; not {noise!r}.")
    lrp = LRP(model, "gradient")
    explained = lrp.attribute(x, target)
    given, rng = explained.input, np.random.default_rng(seed)
    axes = tuple(range(1, given.ndim))
    sigma = noise * np.ptp(given, axis=axes, keepdims=True)
    noisy = (given + sigma * rng.standard_normal(given.shape[1:]) for _ in range(samples))
    relevance = mean_gradient(lrp, explained, noisy).astype(given.dtype)
    origin = explained.origin and replace(explained.origin, method="SmoothGrad")
    return replace(explained, relevance=relevance, audit=None, origin=origin)
