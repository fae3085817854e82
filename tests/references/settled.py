"""Draws goldens that rounding does not move; whom it asks for relevance is the caller's choice.

A golden is drawn again until its relevance stays where it is when weights and inputs are off by a few roundings of
float32, and the winners of all max pools win clearly: then no near-tie, no ReLU near its kink and no denominator near
zero decides, and whoever computes in float32 has to find the same numbers.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .golden import Golden, Layer
from .single_layers import Drawing, Shape
from .sketch import Sketch
from .winners import LEAD, leads

Doubles: TypeAlias = npt.NDArray[np.float64]
Draw: TypeAlias = Callable[[int], Golden]
Explain: TypeAlias = Callable[[Golden], Golden]
Evaluate: TypeAlias = Callable[[Golden], dict[str, Doubles]]

#: share of each number that weights and inputs are off by, and of the largest relevance that may come of it
OFF_BY, MOVED_BY, TRIALS = 1e-6, 1e-5, 3


def number(name: str) -> int:
    """A seed that is a name's own."""
    return zlib.crc32(name.encode())


def settled(name: str, draw: Draw, explain: Explain, evaluate: Evaluate) -> Golden:
    """The first golden drawn and explained whose relevance hardly moves when its numbers are a little off.

    `evaluate` finds all values of its network.
    """
    for seed in count(number(name)):
        unknown, rng = draw(seed), np.random.default_rng(seed)
        if np.any(leads(unknown.layers, evaluate(unknown)) < LEAD):
            continue
        golden = explain(unknown)
        if all(is_close(explain(slightly_off(golden, rng)), golden) for _ in range(TRIALS)):
            return golden
    raise AssertionError("seeds do not end")


def is_close(moved: Golden, golden: Golden) -> bool:
    return all(
        np.abs(moved.relevance[case] - expected).max() <= MOVED_BY * np.abs(expected).max()
        for case, expected in golden.relevance.items()
    )


def slightly_off(golden: Golden, rng: np.random.Generator) -> Golden:
    def off(array: npt.NDArray[np.float32]) -> Doubles:
        return array * (1 + rng.uniform(-OFF_BY, OFF_BY, array.shape))

    return replace(golden, layers=changed(golden.layers, off), inputs=off(golden.inputs))


def changed(layers: list[Layer], change: Callable[[Doubles], Doubles]) -> list[Layer]:
    """The layers with other weights and biases."""
    return [replace(layer, arrays={name: change(a) for name, a in layer.arrays.items()}) for layer in layers]


def without_bias(layer: Layer) -> Layer:
    return replace(layer, arrays={name: array for name, array in layer.arrays.items() if name != "bias"})


def network(samples: int, shape: Shape, draw: Drawing, seed: int) -> Golden:
    """A network and inputs, without anything that is known of them."""
    sketch = drawn(shape, draw, seed)
    bounds = bounds_of(sketch, shape)
    inputs = sketch.rng.uniform(*bounds, (samples, *shape)).astype(np.float32)
    unknown: npt.NDArray[Any] = np.empty(0)
    return Golden(sketch.layers, inputs, bounds, target=unknown, scores=unknown, rules={}, relevance={})


def drawn(shape: Shape, draw: Drawing, seed: int) -> Sketch:
    sketch = Sketch(shape, seed)
    draw(sketch)
    return sketch


def bounds_of(sketch: Sketch, shape: Shape) -> npt.NDArray[np.float32]:
    """Smallest and largest input of each channel."""
    channels = (shape[0], *(1,) * (len(shape) - 1))
    low, high = sketch.rng.uniform(-2.5, -2, channels), sketch.rng.uniform(2, 2.5, channels)
    return np.stack([low, high]).astype(np.float32)
