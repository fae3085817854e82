"""Weights that depend on the sign of what they meet: ``y = W max(x, 0) + V min(x, 0)``, and the way back."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from lrpfast import _native as core
from test_kernels import (
    ONES,
    PAD,
    THREADS,
    Array,
    Geometry,
    each_isa,
    empty,
    found_with_isa,
    loaded,
    numbers,
    oracle,
    stored,
    window,
)

GEOMETRIES = {
    "one block": Geometry(16, 16, 1, (1, 5, 5), ONES),
    "one pixel": Geometry(33, 70, 1, ONES, ONES, samples=3),
    "few outputs": Geometry(3, 40, 1, (1, 6, 5), ONES),
    "few inputs": Geometry(50, 4, 1, (1, 6, 5), ONES),
    "no multiple of 16": Geometry(70, 35, 1, (1, 9, 7), ONES),
    "many inputs": Geometry(40, 300, 1, (1, 7, 7), ONES),
    "many outputs": Geometry(300, 40, 1, (1, 14, 13), ONES),
    "3x3": Geometry(70, 35, 1, (1, 9, 7), (1, 3, 3), ONES, ONES, *PAD),
    "stride": Geometry(20, 17, 1, (1, 9, 9), (1, 3, 3), (1, 2, 2), ONES, *PAD),
    "1x1 stride with leftovers": Geometry(20, 17, 1, (1, 8, 9), ONES, (1, 2, 3)),
    "dilation, 3-D": Geometry(5, 20, 1, (4, 6, 6), (2, 3, 2), (1, 2, 1), (2, 1, 3), (1, 1, 2), (1, 1, 2)),
}


def others(w: Array) -> Array:
    """Weights for negative inputs."""
    return numbers(*w.shape, seed=7)


def forward(g: Geometry, x: Array, w: Array, threads: int = THREADS) -> Array:
    taps = (g.outputs, g.channels, -1)
    packed = core.PackedWeights(w.reshape(taps), 1, False, others(w).reshape(taps))
    y = empty(len(x), g.outputs, g.out)
    kernel = window(g.kernel, g.strides, g.dilations, g.before)
    core.convolve(packed, kernel, loaded(x, *g.halo(False)), stored(y)).run(threads)
    return y.store(THREADS)


def back(g: Geometry, x: Array, w: Array, s: Array, threads: int = THREADS) -> Array:
    """What is handed down for an explanation of every sample."""
    taps = (g.outputs, g.channels, -1)
    kernel = window(g.kernel, g.strides, g.dilations, g.before)
    out = empty(len(s), g.channels, g.size)
    handed = core.Contribution(loaded(x), out, False)
    packed = core.PackedWeights(w.reshape(taps), 1, True, others(w).reshape(taps))
    core.convolve(packed, kernel, loaded(s, *g.halo(True)), handed).run(threads)
    return accounted(out, handed)


def accounted(out: core.Tensor, handed: core.Contribution) -> Array:
    """What was handed down, of which the account says the sum."""
    found = out.store(THREADS)
    np.testing.assert_allclose(
        handed.read()[:, 0], found.sum(axis=(1, 2, 3, 4), dtype=np.float64), atol=1e-5 * np.abs(found).sum()
    )
    return found


#: of weights that have the sign of the input, and of the others; for each group of a rule
FACTORS = {
    "ZPlus": [(1.0, 0.0)],
    "Gamma": [(1.25, 1.0)],
    "less of the same": [(0.5, 2.0)],
    "of either sign": [(1.0, -1.0)],
    "AlphaBeta": [(1.0, 0.0), (0.0, 1.0)],
    "two groups": [(1.0, 0.5), (-0.25, 2.0)],
}


def skipping(x: Array, w: Array, s: Array, factors: list[tuple[float, float]], threads: int = THREADS) -> Array:
    """The same for single pixels, with zeros skipped; `s` (N, groups, C, ...)."""
    outputs = s.shape[2]
    whole = -(-outputs // 16) * 16 if len(factors) > 1 else outputs
    stacked = np.zeros((len(s), len(factors), whole, *s.shape[3:]), np.float32)
    stacked[:, :, :outputs] = s
    out = empty(len(s), *x.shape[1:2], x.shape[2:])
    handed = core.Contribution(loaded(x), out, False)
    source = loaded(stacked.reshape(len(s), -1, *s.shape[3:]))
    weights = core.SkipWeights(w.reshape(*w.shape[:2], 1), True)
    core.skip_by_sign(weights, source, handed, factors).run(threads)
    return accounted(out, handed)


def skipping_error(g: Geometry, factors: list[tuple[float, float]]) -> float:
    """Largest difference from float64, as a share of the largest value."""
    x, w, s = g.operands()
    quotients = np.stack([s, s * numbers(*s.shape, seed=8)], axis=1)[:, : len(factors)]
    above, below, wanted = np.maximum(w, 0), np.minimum(w, 0), np.zeros(x.shape)
    for of_group, (same, other) in zip(np.moveaxis(quotients, 1, 0), factors, strict=True):
        for part, weight in (
            (np.maximum(x, 0), same * above + other * below),
            (np.minimum(x, 0), other * above + same * below),
        ):
            wanted += part * oracle(g, part, weight, of_group)[1]
    found = skipping(x, w, quotients, factors)
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def expected(g: Geometry, x: Array, w: Array, s: Array) -> tuple[Array, Array]:
    y, handed = 0, 0
    for part, weight in ((np.maximum(x, 0), w), (np.minimum(x, 0), others(w))):
        of_part, spread = oracle(g, part, weight, s)
        y, handed = y + of_part, handed + part * spread
    return y, handed


def may_skip(g: Geometry) -> bool:
    return g.kernel == g.strides == ONES


def errors() -> dict[str, float]:
    """Largest difference from float64, as a share of the largest value; both ways."""
    found = {}
    for name, g in GEOMETRIES.items():
        for density in (1, 0.4):
            x, w, s = replace(g, density=density).operands()
            y, handed = expected(g, x, w, s)
            for way, (result, wanted) in {"forward": (forward(g, x, w), y), "back": (back(g, x, w, s), handed)}.items():
                found[f"{name}, {density}, {way}"] = float(np.abs(result - wanted).max() / np.abs(wanted).max())
            for rule, factors in FACTORS.items() if may_skip(g) else ():
                found[f"{name}, {density}, skip, {rule}"] = skipping_error(replace(g, density=density), factors)
    return found


@each_isa
def test_each_sign_meets_its_own_weights(isa: str):
    found = found_with_isa(isa, "errors", __file__)
    assert {name: error for name, error in found.items() if not error < 2e-6} == {}


WAYS: dict[str, Callable[[Geometry, Array, Array, Array, int], Array]] = {
    "forward": lambda g, x, w, s, threads: forward(g, x, w, threads),
    "back": back,
    "skip": lambda g, x, w, s, threads: skipping(x, w, np.stack([s, -s], axis=1), FACTORS["AlphaBeta"], threads),
}


@pytest.mark.parametrize("way", WAYS)
def test_bits_are_the_same_for_any_threads_and_batch(way: str):
    g = Geometry(130, 70, 1, (1, 17, 15), ONES, samples=3)
    x, w, s = g.operands()
    found = WAYS[way](g, x, w, s, 1)
    for threads in (2, 3):
        np.testing.assert_array_equal(WAYS[way](g, x, w, s, threads), found)
    for n in range(len(x)):
        one = slice(n, n + 1)
        np.testing.assert_array_equal(WAYS[way](g, x[one], w, s[one], THREADS), found[one])


def test_several_explanations_share_the_signs_of_their_sample():
    g = Geometry(40, 35, 1, (1, 5, 4), ONES, samples=4)
    _, w, s = g.operands()
    x = numbers(2, 35, 1, 5, 4)
    of_each = np.repeat(x, 2, axis=0)
    np.testing.assert_array_equal(back(g, x, w, s), back(g, of_each, w, s))
    one = FACTORS["Gamma"]
    np.testing.assert_array_equal(skipping(x, w, s[:, None], one), skipping(of_each, w, s[:, None], one))


def by_sign(*shape: int, groups: int = 1) -> core.PackedWeights:
    return core.PackedWeights(numbers(*shape), groups, False, numbers(*shape))


def skip(
    weights: core.SkipWeights | None = None,
    source: core.Tensor | None = None,
    to: core.Contribution | None = None,
    factors: Sequence[tuple[float, float]] = ((1, 0),),
) -> core.BatchStep:
    weights = weights or core.SkipWeights(numbers(16, 16, 1), True)
    to = to or core.Contribution(empty(1, 16), empty(1, 16), False)
    return core.skip_by_sign(weights, source or empty(1, 16), to, factors)


REFUSED: dict[str, tuple[str, Callable[[], object]]] = {
    "another shape": ("shape", lambda: core.PackedWeights(numbers(4, 4, 1), 1, False, numbers(4, 4, 2))),
    "another number of axes": ("shape", lambda: core.PackedWeights(numbers(4, 4, 1), 1, False, numbers(4, 4))),
    "groups of channels": ("groups", lambda: by_sign(4, 2, 1, groups=2)),
    "depthwise": ("groups", lambda: by_sign(4, 1, 1, groups=4)),
    "skip: forward": ("adjoint", lambda: skip(core.SkipWeights(numbers(16, 16, 1), False))),
    "skip: 3x3": ("adjoint of one tap", lambda: skip(core.SkipWeights(numbers(16, 16, 9), True))),
    "skip: no group": ("one group or two", lambda: skip(factors=[])),
    "skip: three groups": ("one group or two", lambda: skip(factors=[(1, 0)] * 3)),
    "skip: several parts": (
        "a product",
        lambda: skip(to=core.Contribution(empty(1, 16), empty(1, 16), False, [(1, 0, None), (0, 1, None)])),
    ),
    "skip: quotients of one group for two": ("channels", lambda: skip(factors=[(1, 0), (0, 1)])),
    "skip: inputs of other channels": ("channels", lambda: skip(core.SkipWeights(numbers(16, 32, 1), True))),
    "skip: quotients of another size": ("size|map", lambda: skip(source=empty(1, 16, (1, 3, 3)))),
    "nothing that has a sign": (
        "factors",
        lambda: core.convolve(
            core.PackedWeights(numbers(16, 16, 1), 1, True, numbers(16, 16, 1)),
            window(),
            empty(1, 16),
            stored(empty(1, 16)),
        ),
    ),
    "several parts": (
        "stacked parts",
        lambda: core.convolve(
            core.PackedWeights(numbers(16, 32, 1), 1, True, numbers(16, 32, 1)),
            window(),
            empty(1, 16),
            core.Contribution(empty(1, 16), empty(1, 16), False, [(1, 0, None), (0, 1, None)]),
        ),
    ),
    "an input of other channels": ("a", lambda: core.Contribution(empty(1, 32), empty(1, 16), False)),
    "no part": ("parts", lambda: core.Contribution(empty(1, 16), empty(1, 16), False, [])),
    "what is fixed of another shape": (
        "fixed",
        lambda: core.Contribution(empty(1, 16), empty(1, 16), False, [(1, 1, empty(2, 16))]),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(name: str):
    message, call = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        call()


if __name__ == "__main__":
    print(json.dumps([core.isa(), {"errors": errors}[sys.argv[1]]()]))
