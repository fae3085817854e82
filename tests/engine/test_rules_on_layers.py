"""Every rule on every linear layer, against the textbook formula on the explicit matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from lrpfast.composites import Composite
from lrpfast.engine.plan import make_plan
from lrpfast.errors import CompositeError
from lrpfast.model.graph import Graph
from lrpfast.model.layers import Activation, Convolution, Layer, Shape
from lrpfast.rules import AlphaBeta, Epsilon, Flat, Gamma, Gradient, Magnitude, Norm, Pass, Rule, WSquare, ZBox, ZPlus
from oracles.geometries import AFFINE, AVERAGES, CUBIC, INTERPOLATIONS, SUMS, WEIGHTED, case
from oracles.graphs import BACKENDS, bias, chain, explain, sum_of_slices, weights, window
from oracles.rules import Linear, linear, relevance

#: share of the largest relevance that rounding may take
TOLERANCE = {"reference": 1e-12, "native": 2e-6}

#: float32 is compared where denominators keep away from zero, float64 also where they are small
STABILIZER = {"reference": 1e-6, "native": 0.25}

LOW, HIGH = -2.5, 3.0


def weighted_rules(stabilizer: float) -> dict[str, Rule]:
    return {
        "epsilon": Epsilon(stabilizer),
        "epsilon, zero bias": Epsilon(stabilizer, zero_bias=True),
        "zplus": ZPlus(stabilizer),
        "zplus, zero bias": ZPlus(stabilizer, zero_bias=True),
        "alpha1 beta0": AlphaBeta(1, 0, stabilizer),
        "alpha2 beta1": AlphaBeta(2, 1, stabilizer),
        "alpha1.5 beta.5, zero bias": AlphaBeta(1.5, 0.5, stabilizer, zero_bias=True),
        "gamma": Gamma(0.25, stabilizer),
        "gamma, zero bias": Gamma(1.0, stabilizer, zero_bias=True),
        "gamma 0": Gamma(0, stabilizer),
        "zbox": ZBox(LOW, HIGH, stabilizer),
        "wsquare": WSquare(stabilizer),
        "wsquare, zero bias": WSquare(stabilizer, zero_bias=True),
        "flat": Flat(stabilizer),
        "gradient": Gradient(),
    }


def averaging_rules(stabilizer: float) -> dict[str, Rule]:
    return {
        "norm": Norm(stabilizer),
        "epsilon": Epsilon(stabilizer),
        "zplus": ZPlus(stabilizer),
        "alpha2 beta1": AlphaBeta(2, 1, stabilizer),
        "gamma 0": Gamma(0, stabilizer),
        "magnitude": Magnitude(stabilizer),
        "gradient": Gradient(),
    }


def sum_rules(stabilizer: float) -> dict[str, Rule]:
    return averaging_rules(stabilizer) | {"flat": Flat(stabilizer)}


def affine_rules(stabilizer: float) -> dict[str, Rule]:
    rules = weighted_rules(stabilizer)
    return {name: rule for name, rule in rules.items() if "affine" in rule.kinds} | {"pass": Pass()}


def samples(name: str, shape: Shape, batch: int) -> np.ndarray:
    """Inputs of both signs, within the bounds of ZBox, that float32 holds exactly."""
    rng = np.random.default_rng(len(name) + 10 * batch)
    return rng.uniform(LOW, HIGH, (batch, *shape)).astype(np.float32)


def check(net: Graph, layer: Layer, rule: Rule, backend: str, x: np.ndarray, m: Linear) -> None:
    """The relevance of `x` is what the formula gives for the layer behind whatever precedes it in the graph."""
    composite = Composite("test", [(layer.kind, rule)])
    seed = np.random.default_rng(7).uniform(-1, 1, (len(x), *net.shapes(x.shape[1:])[net.output])).astype(np.float32)
    _, found, _ = explain(net, composite, backend, x, seed)
    a = np.maximum(x, 0) if isinstance(net.nodes[0].layer, Activation) else x
    expected = relevance(rule, m, a.reshape(len(x), -1), seed.reshape(len(x), -1), x.shape[1:])
    error = np.abs(found.reshape(len(x), -1) - expected).max()
    assert error <= TOLERANCE[backend] * np.abs(expected).max()


def behind(layer: Layer, shape: Shape, rectified: bool) -> Graph:
    return chain([Activation("relu"), layer] if rectified else [layer], shape)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rectified", [False, True], ids=["any sign", "behind relu"])
@pytest.mark.parametrize("rule", weighted_rules(1))
@pytest.mark.parametrize("name", WEIGHTED)
def test_weighted_layers(name: str, rule: str, rectified: bool, backend: str) -> None:
    layer, shape, matrix = case(name)
    x = samples(name, shape, batch=1 + len(rule) % 5)
    check(behind(layer, shape, rectified), layer, weighted_rules(STABILIZER[backend])[rule], backend, x, matrix)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rule", weighted_rules(1))
@pytest.mark.parametrize("name", ["3x3 same", "depthwise", "dense 20 to 17"])
def test_layers_without_bias(name: str, rule: str, backend: str) -> None:
    layer, shape, matrix = case(name, biased=False)
    x = samples(name, shape, batch=2)
    check(behind(layer, shape, False), layer, weighted_rules(STABILIZER[backend])[rule], backend, x, matrix)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rectified", [False, True], ids=["any sign", "behind relu"])
@pytest.mark.parametrize("rule", averaging_rules(1))
@pytest.mark.parametrize("name", [*AVERAGES, *INTERPOLATIONS])
def test_averages(name: str, rule: str, rectified: bool, backend: str) -> None:
    layer, shape, matrix = case(name)
    x = samples(name, shape, batch=3)
    check(behind(layer, shape, rectified), layer, averaging_rules(STABILIZER[backend])[rule], backend, x, matrix)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rectified", [False, True], ids=["any sign", "behind relu"])
@pytest.mark.parametrize("name", CUBIC)
def test_interpolations_with_negative_weights(name: str, rectified: bool, backend: str) -> None:
    layer, shape, matrix = case(name)
    x = samples(name, shape, batch=2)
    check(behind(layer, shape, rectified), layer, Norm(STABILIZER[backend]), backend, x, matrix)
    with pytest.raises(CompositeError, match=r"give it Norm\(\)"):
        make_plan(chain([layer], shape), Composite("", [("average", ZPlus())]))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rectified", [False, True], ids=["any sign", "behind relu"])
@pytest.mark.parametrize("rule", sum_rules(1))
@pytest.mark.parametrize("name", SUMS)
def test_sums(name: str, rule: str, rectified: bool, backend: str) -> None:
    layer, (channels, *rest), matrix = case(name)
    branches = int(name[-1])
    shape = (channels * branches, *rest)
    x = samples(name, shape, batch=2)
    net = sum_of_slices(branches, shape, [Activation("relu")] if rectified else [])
    check(net, layer, sum_rules(STABILIZER[backend])[rule], backend, x, matrix)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rule", affine_rules(1))
@pytest.mark.parametrize("name", AFFINE)
def test_affine_layers(name: str, rule: str, backend: str) -> None:
    layer, shape, matrix = case(name)
    x = samples(name, shape, batch=2)
    check(behind(layer, shape, False), layer, affine_rules(STABILIZER[backend])[rule], backend, x, matrix)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", [(), (1,), (3, 1, 1), (4, 1), (5,), (3, 4, 5)], ids=str)
def test_zbox_bounds_broadcast_against_a_sample(shape: Shape, backend: str) -> None:
    layer, sample, matrix = case("uneven pads")
    low = np.random.default_rng(3).uniform(-4, LOW, shape)
    rule = ZBox(np.asarray(low, np.float32), HIGH, STABILIZER[backend])
    check(chain([layer], sample), layer, rule, backend, samples("box", sample, 2), matrix)


def test_zbox_bounds_follow_the_layout_of_the_caller() -> None:
    layer, (channels, *spatial), matrix = case("uneven pads")
    low = np.array([-3.0, -4.0, -5.0])
    inner = samples("layout", (channels, *spatial), 2)
    net = chain([layer], (channels, *spatial))
    turned = Graph("x", (*spatial, channels), net.nodes, net.output, input_permutation=(2, 0, 1))
    composite = Composite("test", [("conv", ZBox(low, HIGH, 0.25))])
    seed = np.ones((2, *net.shapes((channels, *spatial))[net.output]))
    expected = relevance(
        ZBox(low[:, None, None], HIGH, 0.25), matrix, inner.reshape(2, -1), seed.reshape(2, -1), (channels, *spatial)
    )
    for backend in BACKENDS:
        found = explain(turned, composite, backend, inner, seed)[1]  # a backend sees the inner layout
        assert np.abs(found.reshape(2, -1) - expected).max() <= TOLERANCE[backend] * np.abs(expected).max()


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Convolution, Shape]:
    """A convolution of any rank and geometry, and the shape of its input."""
    rank = draw(st.integers(1, 3))
    largest = {1: 9, 2: 6, 3: 4}[rank]

    def per_axis(low: int, high: int) -> Shape:
        return tuple(draw(st.integers(low, high)) for _ in range(rank))

    spatial, kernel = per_axis(1, largest), per_axis(1, 4)
    slide = window(kernel, per_axis(1, 3), tuple(zip(per_axis(0, 2), per_axis(0, 2), strict=True)), per_axis(1, 2))
    assume(all(size >= 1 for size in slide.output_size(spatial)))
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    channels, outputs = groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    weight = weights(rng, outputs, channels // groups, *kernel)
    return Convolution(weight, bias(rng, outputs), slide, groups), (channels, *spatial)


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=100, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(made=convolutions(), rule=st.sampled_from(sorted(weighted_rules(1))), rectified=st.booleans())
def test_any_convolution(backend: str, made: Any, rule: str, rectified: bool) -> None:
    layer, shape = made
    x = samples("any", shape, batch=2)
    net = behind(layer, shape, rectified)
    check(net, layer, weighted_rules(0.25)[rule], backend, x, linear(layer, shape))
