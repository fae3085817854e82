"""How clearly the winners of max pools win."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from .golden import Layer

Doubles = npt.NDArray[np.float64]

#: how far float32 may miss a value, and how far ahead a winner is that it then keeps, by a sample's largest value
MISSED_BY, LEAD = 2e-6, 1e-5


def leads(layers: list[Layer], values: Mapping[str, Doubles]) -> Doubles:
    """What each winner is ahead of the next value of its window, as share of the sample's largest: (N, windows).

    All max pools one after the other. Infinite where nothing can be won: where a ReLU left only zeros.
    """
    found = [leads_of(layer, values[layer.inputs[0]]) for layer in layers if layer.kind == "max pool"]
    return np.concatenate(found or [np.empty((1, 0))], axis=1)


def leads_of(pool: Layer, a: Doubles) -> Doubles:
    """The leads of one max pool."""
    given, largest = pool.settings, np.abs(a).reshape(len(a), -1).max(axis=1)[:, np.newaxis]
    outside = -2 * largest.max()
    over_the_end = [stride - 1 if given["ceil"] else 0 for stride in given["strides"]]
    sides = [(before, after + more) for (before, after), more in zip(given["pads"], over_the_end, strict=True)]
    padded = np.pad(a, ((0, 0), (0, 0), *sides), constant_values=outside)
    windows = np.lib.stride_tricks.sliding_window_view(padded, given["kernel"], tuple(range(2, a.ndim)))
    met = windows[(slice(None), slice(None), *(slice(None, None, stride) for stride in given["strides"]))]
    second, first = np.moveaxis(np.partition(met.reshape(len(a), -1, np.prod(given["kernel"])), -2)[..., -2:], -1, 0)
    return np.where((first == 0) | (first == outside), np.inf, (first - second) / largest)
