"""Occlusion: what a score loses when a part of the input is hidden."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from types import EllipsisType
from typing import Any

import numpy as np
import numpy.typing as npt

from lrpfast.attribution import Attribution
from lrpfast.baselines.filled import filled
from lrpfast.errors import InputError
from lrpfast.lrp import LRP
from lrpfast.model import Model, Source
from lrpfast.model.layers import Array, Shape


def occlusion(
    model: Model | Source,
    x: npt.ArrayLike,
    target: npt.ArrayLike | None = None,
    *,
    size: int | None = None,
    stride: int | None = None,
    value: npt.ArrayLike = 0.0,
) -> Attribution:
    """Slide a window over the input, and see what the score loses where it hides the input.

    ``R = mean of f(x) - f(x with the window hidden) over the windows that hold a pixel``, in equal parts to its
    channels.

    Parameters
    ----------
    model : Model, or what `lrpfast.load` takes
        The network.
    x, target
        As for `LRP.attribute`. A `target` of None is the highest score of the whole input.
    size : int, optional
        Side of the window in pixels, along every axis but that of the channels; None takes an eighth of the shortest.
    stride : int, optional
        Pixels from window to window, `size` at most; None takes half of `size`. The last window ends with the input.
    value : array_like
        What hides the input, in the model's scale; a number, or an array that broadcasts to a sample.

    Returns
    -------
    Attribution
        Relevance summed over channels is in units of the score.

    Raises
    ------
    InputError
        As from `LRP.attribute`; or the window does not fit the input, leaves pixels out, or its value does not fit.

    References
    ----------
    Zeiler, Fergus, *Visualizing and Understanding Convolutional Networks*, ECCV 2014.
    """
    lrp = LRP(model, "gradient")
    whole = lrp.attribute(x, target)
    given, channels = whole.input, whole.channel_axis
    hidden = filled("value", value, given)
    extents = tuple(length for axis, length in enumerate(given.shape[1:]) if axis != channels)
    size = max(1, min(extents) // 8) if size is None else size
    stride = max(1, size // 2) if stride is None else stride
    _require_fit(size, stride, extents)
    score = _explained_score(whole.output, whole.target)
    loss, covered = np.zeros(whole.relevance.shape), np.zeros(given.shape[1:])
    for window in _windows(extents, size, stride):
        axes = window if channels is None else (*window[:channels], slice(None), *window[channels:])
        here: tuple[EllipsisType | slice, ...] = (..., *axes)
        occluded = given.copy()
        occluded[here] = hidden[here]
        lost = score - _explained_score(lrp.scores(occluded), whole.target)
        loss[here] += lost.reshape(*lost.shape, *(1 for _ in axes))
        covered[here] += 1
    shares = covered * (1 if channels is None else given.shape[1 + channels])
    origin = whole.origin and replace(whole.origin, method="Occlusion")
    return replace(whole, relevance=(loss / shares).astype(given.dtype), audit=None, origin=origin)


def _windows(extents: Shape, size: int, stride: int) -> Iterator[tuple[slice, ...]]:
    """Windows along all spatial axes, the last one at the end of each."""
    starts = ([*range(0, extent - size, stride), extent - size] for extent in extents)
    for corner in product(*starts):
        yield tuple(slice(start, start + size) for start in corner)


def _explained_score(output: Array, target: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """What is explained, (N,) or (N, T): the scores of the target's classes, or their sum weighted by a seed."""
    scores = output.reshape(len(output), -1).astype(np.float64)
    if target.dtype.kind == "f":
        return np.asarray((scores * target.reshape(scores.shape)).sum(axis=1))
    classes = target.reshape(len(scores), -1)
    return np.asarray(np.take_along_axis(scores, classes, axis=1).reshape(target.shape))


def _require_fit(size: int, stride: int, extents: Shape) -> None:
    """Refuse windows that do not fit the input, or leave some of it out."""
    if not isinstance(size, int) or not 1 <= size <= min(extents):
        raise InputError(f"size is a number of pixels from 1 to {min(extents)}, the input's shortest side; not {size}.")
    if not isinstance(stride, int) or not 1 <= stride <= size:
        raise InputError(f"stride is a number of pixels from 1 to {size}, the window's size; not {stride}.")
