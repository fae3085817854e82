"""A rule strip by strip gives what it gives map by map, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from lrpfast import _native as core
from lrpfast.composites import Composite
from lrpfast.engine.native.methods import LARGE_MAP
from lrpfast.model.layers import Activation, Convolution
from lrpfast.rules import AlphaBeta, Epsilon, Gamma, Rule, ZPlus
from oracles.graphs import bias, chain, explain, weights, window
from test_kernels import PAD, THREADS, Array, Size3, empty, loaded, numbers
from test_kernels import window as native_window

OPEN, POSITIVE = core.Gate.open, core.Gate.positive


@dataclass(frozen=True)
class Case:
    inputs: int
    outputs: int
    size: Size3
    samples: int = 2
    explanations: int = 1
    groups: int = 1
    by_sign: bool = False
    ways: int = 1
    is_given: bool = False  # denominators, instead of what they are made of

    def run(self, in_strips: bool, threads: int = THREADS) -> tuple[Array, Array, Array]:
        """Relevance of the inputs, and the figures of the quotients and of the ways back."""
        stacked = self.outputs if self.groups == 1 else self.groups * -(-self.outputs // 16) * 16
        every = self.samples * self.explanations
        x, r = numbers(self.samples, self.inputs, *self.size), numbers(every, self.outputs, *self.size, seed=1)
        own = loaded(numbers(self.samples, self.outputs, *self.size, seed=2))
        source, out = loaded(x, *PAD), loaded(numbers(every, self.inputs, *self.size, seed=3))
        if self.is_given:
            source = loaded(numbers(self.samples, stacked, *self.size, seed=4))
        s = None if in_strips else empty(every, stacked, self.size)
        shares = [(OPEN, 1.0), (POSITIVE, -0.5)][: self.groups]
        lanes = numbers(-(-stacked // 16) * 16, seed=5)
        lanes[stacked:] = 0
        quotient = core.Quotient(self.samples, loaded(r), s, shares, 0.25, lanes, own=own)
        forward = None if self.is_given else self.packed(stacked, False)
        to = [core.Contribution(loaded(x), out, True) for _ in range(self.ways)]
        back = [(self.packed(stacked, True, seed=way), each) for way, each in enumerate(to)]
        if s is None:
            core.redistribute(forward, source, quotient, back).run(threads)
        else:
            if forward is None:
                core.take_up([source], quotient).run(threads)
            else:
                core.convolve(forward, native_window(), source, quotient).run(threads)
            for packed, each in back:
                core.convolve(packed, native_window(), s, each).run(threads)
        return out.store(THREADS), quotient.read(), np.array([each.read() for each in to])

    def packed(self, outputs: int, adjoint: bool, seed: int = 6) -> core.PackedWeights:
        w = numbers(outputs, self.inputs, 1, seed=seed)
        return core.PackedWeights(w, 1, adjoint, numbers(*w.shape, seed=seed + 10) if self.by_sign else None)


CASES = {
    "one strip": Case(16, 32, (1, 3, 5)),
    "a row of many pixels": Case(16, 96, (1, 3, 700)),
    "leftover rows": Case(20, 50, (1, 61, 67)),
    "many outputs": Case(16, 520, (1, 19, 23), samples=1),
    "many inputs": Case(300, 40, (1, 17, 15)),
    "several explanations": Case(20, 50, (1, 31, 29), explanations=3),
    "two groups": Case(20, 50, (1, 31, 29), groups=2, explanations=2),
    "by sign": Case(20, 50, (1, 31, 29), by_sign=True),
    "two groups by sign": Case(72, 50, (1, 31, 29), groups=2, by_sign=True),
    "several explanations by sign": Case(20, 50, (1, 31, 29), explanations=3, by_sign=True),
    "two ways back": Case(20, 50, (1, 31, 29), ways=2),
    "denominators that are there": Case(20, 50, (1, 31, 29), is_given=True, groups=2),
}


@pytest.mark.parametrize("name", CASES)
def test_relevance_is_that_of_one_map_after_the_other(name: str):
    (found, quotients, handed), (wanted, each, every) = CASES[name].run(True), CASES[name].run(False)
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_allclose(quotients, each, rtol=1e-6, atol=1e-3)
    np.testing.assert_allclose(handed, every, rtol=1e-6, atol=1e-3)


def test_bits_are_the_same_for_any_threads():
    case = CASES["two groups by sign"]
    for one, three in zip(case.run(True, 1), case.run(True, 3), strict=True):
        np.testing.assert_array_equal(one, three)


# In the engine

RULES: dict[str, Rule] = {
    "epsilon": Epsilon(0.1),
    "zplus": ZPlus(),
    "alpha_beta": AlphaBeta(2, 1),
    "gamma": Gamma(0.25),
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("activated", [False, True], ids=["any sign", "behind a ReLU"])
def test_a_large_layer_of_single_pixels_gives_the_relevance_of_the_reference(
    name: str, activated: bool, monkeypatch: pytest.MonkeyPatch
):
    made: list[core.Step] = []
    redistribute = core.redistribute
    monkeypatch.setattr(core, "redistribute", lambda *given: made.append(redistribute(*given)) or made[-1])
    rng = np.random.default_rng(0)
    width = int(np.ceil(np.sqrt(LARGE_MAP / 80)))
    wide = Convolution(weights(rng, 80, 20, 1, 1), bias(rng, 80), window((1, 1)))
    net = chain([*[Activation("relu")] * activated, wide, Activation("relu")], (20, width, width))
    x, r = numbers(3, 20, width, width), numbers(3, 80, width, width, seed=1)  # one lane for two threads
    composite = Composite("", [("conv", RULES[name])])
    (_, found, audit), (_, wanted, expected) = (explain(net, composite, b, x, r) for b in ("native", "reference"))
    assert len(made) == 1
    np.testing.assert_allclose(found, wanted, atol=2e-5 * np.abs(wanted).max())
    for figure in ("received", "handed_down", "bias", "stabilizer"):
        mine, others = (np.array([getattr(layer, figure) for layer in book.layers]) for book in (audit, expected))
        np.testing.assert_allclose(mine, others, atol=1e-5 * np.abs(r).sum())


# What is refused


def quotient(samples: int = 1, channels: int = 16, size: Size3 = (1, 4, 4), kept: bool = False) -> core.Quotient:
    return core.Quotient(
        samples, empty(samples, channels, size), empty(samples, channels, size) if kept else None, [(OPEN, 1.0)], 0.1
    )


def packed(outputs: int = 16, inputs: int = 16, taps: int = 1, adjoint: bool = False, groups: int = 1) -> Any:
    return core.PackedWeights(numbers(outputs, inputs // groups, taps), groups, adjoint)


def way(*given: Any, out: core.Tensor | None = None) -> Any:
    out = empty() if out is None else out
    return packed(*given, adjoint=True), core.Contribution(out, empty(1, out.channels, out.size), False)


REFUSED: dict[str, tuple[str, Callable[[], object]]] = {
    "quotients that are kept": ("kept", lambda: core.redistribute(packed(), empty(), quotient(kept=True), [way()])),
    "several planes": (
        "kept, or",
        lambda: core.redistribute(packed(), empty(size=(2, 4, 4)), quotient(size=(2, 4, 4)), []),
    ),
    "a source of another size": ("size", lambda: core.redistribute(packed(), empty(size=(1, 4, 5)), quotient(), [])),
    "a source of other channels": ("channels", lambda: core.redistribute(packed(), empty(1, 17), quotient(), [])),
    "denominators of other channels": ("channels", lambda: core.redistribute(None, empty(1, 17), quotient(), [])),
    "a source of other samples": ("samples", lambda: core.redistribute(packed(), empty(2), quotient(), [])),
    "a window": ("one dense tap", lambda: core.redistribute(packed(taps=9), empty(), quotient(), [])),
    "depthwise": ("one dense tap", lambda: core.redistribute(packed(groups=16), empty(), quotient(), [])),
    "a window back": ("one dense tap", lambda: core.redistribute(packed(), empty(), quotient(), [way(16, 16, 9)])),
    "few channels back": ("one dense tap", lambda: core.redistribute(None, empty(), quotient(), [way(16, 3)])),
    "forward weights back": (
        "one dense tap",
        lambda: core.redistribute(
            packed(), empty(), quotient(), [(packed(), core.Contribution(empty(), empty(), False))]
        ),
    ),
    "other channels back": ("way back", lambda: core.redistribute(packed(), empty(), quotient(), [way(40, 16)])),
    "another map back": ("way back", lambda: core.redistribute(packed(), empty(), quotient(), [way(16, 40)])),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(name: str):
    message, call = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        call()


def test_a_source_cannot_be_a_target():
    x = empty()
    to = core.Contribution(empty(), x, False)
    with pytest.raises(ValueError, match="source and target"):
        core.redistribute(packed(), x, quotient(), [(packed(adjoint=True), to)])
