"""The smallest cases worked by hand, and what happens at zeros, ties and edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lrpfast.composites import Composite
from lrpfast.model.graph import Graph
from lrpfast.model.layers import (
    Activation,
    Affine,
    AveragePool,
    Concat,
    Convolution,
    Dense,
    Layer,
    MaxPool,
    Pad,
    Reshape,
    Sum,
    Transpose,
)
from lrpfast.rules import (
    AlphaBeta,
    Epsilon,
    Flat,
    Gamma,
    Gradient,
    Norm,
    Proportional,
    ReLUBetaSmooth,
    ReLUDeconvNet,
    ReLUGuidedBackprop,
    Rule,
    Ties,
    WSquare,
    ZBox,
    ZPlus,
)
from oracles.graphs import BACKENDS, chain, explain, graph, node, window

pytestmark = pytest.mark.parametrize("backend", BACKENDS)

EPSILON = Composite("epsilon", [("conv", Epsilon(0)), ("dense", Epsilon(0)), ("average", Norm(0)), ("sum", Norm(0))])


def single(layer: Layer, rule: Rule, x: Any, backend: str, seed: Any = None) -> npt.NDArray[Any]:
    """Relevance of one sample through one layer."""
    x = np.asarray(x, np.float64)
    net = chain([layer], x.shape)
    composite = Composite("one", [(layer.kind, rule)])
    found = explain(net, composite, backend, x[np.newaxis], None if seed is None else np.asarray(seed)[np.newaxis])[1]
    return np.asarray(found[0])


def relevance(net: Graph, x: Any, backend: str, seed: Any = None) -> npt.NDArray[Any]:
    """Relevance of one sample under Epsilon(0) and Norm(0)."""
    x = np.asarray(x, np.float64)[np.newaxis]
    found = explain(net, EPSILON, backend, x, None if seed is None else np.asarray(seed)[np.newaxis])[1]
    return np.asarray(found[0])


# One unit: weights (2, -1, 1), bias 1, input (3, 2, -1), so the contributions are (6, -2, -1) and z = 4.
UNIT = Dense(np.array([[2, -1, 1]], np.float32), np.array([1], np.float32))
INPUT = (3, 2, -1)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Epsilon(0), (6 / 4, -2 / 4, -1 / 4)),
        (Epsilon(1), (6 / 5, -2 / 5, -1 / 5)),
        (Epsilon(0, zero_bias=True), (6 / 3, -2 / 3, -1 / 3)),
        (ZPlus(0), (6 / 7, 0, 0)),
        (ZPlus(0, zero_bias=True), (1, 0, 0)),
        (ZPlus(1), (6 / 8, 0, 0)),
        (AlphaBeta(1, 0, 0), (6 / 7, 0, 0)),
        (AlphaBeta(2, 1, 0), (12 / 7, -2 / 3, -1 / 3)),  # the bias is positive: it only speaks for the output
        (AlphaBeta(2, 1, 0, zero_bias=True), (2, -2 / 3, -1 / 3)),
        # z > 0: (1 + 1) 6 - 2 - 1 + (1 + 1) 1 = 11
        (Gamma(1, 0), (12 / 11, -2 / 11, -1 / 11)),
        (Gamma(1, 0, zero_bias=True), (12 / 9, -2 / 9, -1 / 9)),
        (Gamma(0, 0), (6 / 4, -2 / 4, -1 / 4)),
        # l = -2, h = 4: x - l for the weights above zero, x - h for those below: (10, 2, 1), z = 13
        (ZBox(-2, 4, 0), (10 / 13, 2 / 13, 1 / 13)),
        (WSquare(0), (4 / 7, 1 / 7, 1 / 7)),
        (WSquare(0, zero_bias=True), (4 / 6, 1 / 6, 1 / 6)),
        (Flat(0), (1 / 3, 1 / 3, 1 / 3)),
        (Flat(1), (1 / 4, 1 / 4, 1 / 4)),
        (Gradient(), (2, -1, 1)),
    ],
    ids=str,
)
def test_one_unit_worked_by_hand(rule: Rule, expected: tuple[float, ...], backend: str) -> None:
    found = single(UNIT, rule, INPUT, backend, seed=[1])
    np.testing.assert_allclose(found, expected, rtol=4e-7, atol=1e-12)


def test_gamma_favours_the_sign_of_the_output(backend: str) -> None:
    # bias -5: z = -2, and contributions below zero count twice: 6 - 4 - 2 - 10 = -10
    unit = Dense(UNIT.weight, np.array([-5], np.float32))
    found = single(unit, Gamma(1, 0), INPUT, backend, seed=[1])
    np.testing.assert_allclose(found, (-6 / 10, 4 / 10, 2 / 10), rtol=4e-7)


def test_epsilon_moves_a_denominator_away_from_zero_on_its_own_side(backend: str) -> None:
    unit = Dense(np.array([[1, -3]], np.float32), None)  # z = -2 at (1, 1)
    np.testing.assert_allclose(single(unit, Epsilon(2), (1, 1), backend, [1]), (-1 / 4, 3 / 4), rtol=4e-7)


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_a_denominator_of_zero_counts_as_positive(zero: float, backend: str) -> None:
    unit = Dense(np.array([[1, 1, 1]], np.float32), None)
    found = single(unit, Epsilon(0.5), (zero, 2, -2), backend, [3])
    np.testing.assert_array_equal(found, (0, 12, -12))


def test_minus_zero_as_a_bias_counts_as_zero(backend: str) -> None:
    unit = Dense(np.array([[1, -1]], np.float32), np.array([-0.0], np.float32))
    np.testing.assert_array_equal(single(unit, Epsilon(1), (2, 2), backend, [1]), (2, -2))


@pytest.mark.parametrize(
    "rule", [Epsilon(0), ZPlus(0), AlphaBeta(2, 1, 0), Gamma(1, 0), ZBox(0, 0, 0), WSquare(0), Flat(0)], ids=str
)
def test_nothing_over_nothing_is_nothing(rule: Rule, backend: str) -> None:
    unit = Dense(np.zeros((2, 3), np.float32), None)
    found = single(unit, rule, (0, 0, 0), backend, [1, -1])
    np.testing.assert_array_equal(found, np.zeros(3))


def test_gamma_passes_nothing_where_the_output_is_zero(backend: str) -> None:
    unit = Dense(np.array([[1, -1], [1, 1]], np.float32), None)  # z = (0, 4)
    np.testing.assert_allclose(single(unit, Gamma(1, 0), (2, 2), backend, [1, 1]), (0.5, 0.5), rtol=4e-7)


def test_unused_stabilized_share_is_accounted_for(backend: str) -> None:
    unit = Dense(np.array([[1, 2]], np.float32), None)  # nothing speaks against the output
    composite = Composite("one", [("dense", AlphaBeta(2, 1, 0.5))])
    _, found, audit = explain(chain([unit], (2,)), composite, backend, [[1, 1]], [[7]])
    np.testing.assert_allclose(found[0], (4, 8), rtol=4e-7)  # 2 * 7 / 3.5 for each of 3
    # stabilizers: 2 * 7 * 0.5 / 3.5 of what speaks for, all of the -7 of what speaks against
    np.testing.assert_allclose(audit["n0"].stabilizer, [[2 - 7]], rtol=4e-7)


def test_dead_units_receive_nothing_and_lose_nothing(backend: str) -> None:
    layers = [
        Dense(np.array([[1, 1], [1, -3]], np.float32), None),  # (3, -5): the second unit is dead
        Activation("relu"),
        Dense(np.array([[2, 5]], np.float32), None),
    ]
    found = relevance(chain(layers, (2,)), (1, 2), backend)
    np.testing.assert_allclose(found, (2, 4), rtol=4e-7)


@pytest.mark.parametrize("rule", [Epsilon(), ZPlus(), AlphaBeta(2, 1), Gamma(0.25), WSquare(), Flat(), Gradient()])
def test_zero_images_give_finite_relevance(rule: Rule, backend: str) -> None:
    conv = Convolution(np.ones((4, 3, 3, 3), np.float32) / 7, None, window((3, 3), pads=1))
    net = chain([conv, Activation("relu"), MaxPool(window((2, 2), (2, 2)))], (3, 4, 4))
    found = explain(net, Composite("one", [("conv", rule)]), backend, np.zeros((2, 3, 4, 4)), np.ones((2, 4, 2, 2)))[1]
    assert np.isfinite(found).all()
    given_by_weights = isinstance(rule, WSquare | Flat | Gradient)
    assert (found.sum() > 0) == given_by_weights


def test_relu_rules_worked_by_hand(backend: str) -> None:
    x, r = (-2.0, -1.0, 0.0, 1.0, 2.0), (1.0, -1.0, 3.0, -4.0, 5.0)
    relu = Activation("relu")
    np.testing.assert_array_equal(single(relu, ReLUDeconvNet(), x, backend, r), (1, 0, 3, 0, 5))
    np.testing.assert_array_equal(single(relu, ReLUGuidedBackprop(), x, backend, r), (0, 0, 0, 0, 5))
    np.testing.assert_array_equal(single(relu, Gradient(), x, backend, r), (0, 0, 0, -4, 5))
    smooth = single(relu, ReLUBetaSmooth(2), x, backend, r)
    np.testing.assert_allclose(smooth, np.array(r) / (1 + np.exp(-2 * np.array(x))), rtol=4e-7)


def test_max_pool_hands_all_to_the_winner_the_first_of_equals(backend: str) -> None:
    x = [[[1, 5, 2, 2], [5, 0, 2, 2], [-1, -1, 0, -0.0], [-1, -1, 0, 0]]]
    found = single(MaxPool(window((2, 2), (2, 2))), Gradient(), x, backend, [[[1, 2], [3, 4]]])
    np.testing.assert_array_equal(found, [[[0, 1, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]]])


def test_max_pool_may_share_each_window_evenly_among_ties(backend: str) -> None:
    x = np.tile([[4, 4, 3], [1, 2, 4]], (17, 1, 1))
    found = single(MaxPool(window((2, 2))), Ties(), x, backend, np.tile([[10, 16]], (17, 1, 1)))
    np.testing.assert_array_equal(found, np.tile([[5, 13, 0], [0, 0, 8]], (17, 1, 1)))


def test_max_pool_may_share_each_window_in_proportion(backend: str) -> None:
    x = np.tile([[4, 3, 3], [1, 2, 8]], (17, 1, 1))
    found = single(MaxPool(window((2, 2))), Proportional(0), x, backend, np.tile([[10, 16]], (17, 1, 1)))
    np.testing.assert_allclose(found, np.tile([[4, 6, 3], [1, 4, 8]], (17, 1, 1)), rtol=1e-6)


@pytest.mark.parametrize("rule", [Ties(), Proportional()], ids=str)
def test_padding_has_no_share(rule: Rule, backend: str) -> None:
    pool = MaxPool(window((3, 3), (2, 2), pads=1, ceil=True))
    found = single(pool, rule, -np.ones((3, 4, 4)), backend, np.full((3, 3, 3), 2))
    assert found.sum() == pytest.approx(3 * 9 * 2, rel=2e-6)


def test_overlapping_windows_accumulate(backend: str) -> None:
    found = single(MaxPool(window((3,), (1,))), Gradient(), [[1, 2, 9, 2, 1]], backend, [[1, 10, 100]])
    np.testing.assert_array_equal(found, [[0, 0, 111, 0, 0]])


def test_padding_never_wins(backend: str) -> None:
    x = [[[-3, -2], [-4, -5]]]
    pool = MaxPool(window((2, 2), (2, 2), pads=1))
    found = single(pool, Gradient(), x, backend, [[[1, 2], [3, 4]]])
    np.testing.assert_array_equal(found, [[[1, 2], [3, 4]]])


def test_last_max_window_may_hang_over(backend: str) -> None:
    pool = MaxPool(window((3,), (2,), ceil=True))
    found = single(pool, Gradient(), [[5, 1, 0, 2, 4, 3]], backend, [[1, 10, 100]])
    np.testing.assert_array_equal(found, [[1, 0, 0, 0, 110, 0]])


def test_max_pool_with_dilation_and_whole_map(backend: str) -> None:
    dilated = MaxPool(window((2,), (1,), dilations=(2,)))
    np.testing.assert_array_equal(single(dilated, Gradient(), [[1, 7, 3, 4]], backend, [[1, 2]]), [[0, 2, 1, 0]])
    everything = MaxPool(window((0, 0)))
    found = single(everything, Gradient(), [[[1, 2], [8, 8]], [[0, 0], [0, 0]]], backend, [[[5]], [[6]]])
    np.testing.assert_array_equal(found, [[[0, 0], [5, 0]], [[6, 0], [0, 0]]])


def test_average_divides_by_the_elements_inside_the_map(backend: str) -> None:
    x, seed = [[4, 2, 6]], [[1, 1]]
    pool = AveragePool(window((2,), (2,), pads=((1, 0),)))  # windows {4} and {2, 6}
    np.testing.assert_allclose(single(pool, Gradient(), x, backend, seed), [[1, 1 / 2, 1 / 2]], rtol=4e-7)
    counted = AveragePool(window((2,), (2,), pads=((1, 0),)), count_include_pad=True)
    np.testing.assert_allclose(single(counted, Gradient(), x, backend, seed), [[1 / 2, 1 / 2, 1 / 2]], rtol=4e-7)


def test_average_never_counts_what_hangs_over_the_padding(backend: str) -> None:
    pool = AveragePool(window((3,), (3,), pads=1, ceil=True), count_include_pad=True)
    # padded to 7 elements: windows {pad, a, b}, {c, d, e}, {f, then pad, then beyond}
    found = single(pool, Gradient(), [[1, 2, 3, 4, 5, 6]], backend, [[3, 3, 2]])
    np.testing.assert_allclose(found, [[1, 1, 1, 1, 1, 1]], rtol=4e-7)


def test_norm_shares_out_by_contribution(backend: str) -> None:
    pool = AveragePool(window((2,), (2,)))
    np.testing.assert_allclose(single(pool, Norm(0), [[1, 3, 2, -1]], backend, [[4, 1]]), [[1, 3, 2, -1]], rtol=4e-7)


def test_padding_takes_no_part_in_flat_and_zbox(backend: str) -> None:
    conv = Convolution(np.array([[[1, -1, 1]]], np.float32), None, window((3,), pads=1))
    x = [[1, 2]]  # windows (pad, 1, 2) and (1, 2, pad)
    np.testing.assert_allclose(single(conv, Flat(0), x, backend, [[2, 4]]), [[3, 3]], rtol=4e-7)
    # l = -1, h = 3, first window: -1 * (1 - 3) = 2 and 1 * (2 + 1) = 3; second: 1 * (1 + 1) = 2 and -1 * (2 - 3) = 1
    found = single(conv, ZBox(-1, 3, 0), x, backend, [[5, 3]])
    np.testing.assert_allclose(found, [[2 + 2, 3 + 1]], rtol=4e-7)


def test_value_read_twice_by_one_sum(backend: str) -> None:
    net = graph([node("double", Sum(), "x x", "y")], (3,))
    np.testing.assert_array_equal(relevance(net, (1, -2, 4), backend), (2, -4, 8))


def test_value_read_by_two_layers(backend: str) -> None:
    one, other = Dense(np.array([[2, 0]], np.float32), None), Dense(np.array([[1, 1]], np.float32), None)
    nodes = [node("a", one, "x", "a"), node("b", other, "x", "b"), node("sum", Sum(), "a b", "y")]
    np.testing.assert_allclose(relevance(graph(nodes, (2,)), (1, 3), backend), (2 + 1, 3), rtol=4e-7)


def test_value_read_by_a_dead_end_counts_once(backend: str) -> None:
    layer = Dense(np.array([[1, 2]], np.float32), None)
    nodes = [node("unread", Activation("relu"), "x", "unread"), node("used", layer, "x", "y")]
    np.testing.assert_array_equal(relevance(graph(nodes, (2,)), (1, 2), backend), (1, 4))


def test_the_output_may_be_read_inside_the_graph(backend: str) -> None:
    nodes = [node("a", Dense(np.array([[1, 2]], np.float32), None), "x", "a"), node("b", Activation("relu"), "a", "b")]
    net = Graph("x", (2,), tuple(nodes), "a")
    np.testing.assert_array_equal(relevance(net, (1, 2), backend), (1, 4))


ROUTES: dict[str, tuple[list[Layer], tuple[int, ...]]] = {
    "reshape": ([Reshape((4, 6)), Reshape((-1,))], (2, 3, 4)),
    "transpose": ([Transpose((2, 0, 1))], (2, 3, 4)),
    "pad": ([Pad(((0, 1), (2, 0), (1, 1)))], (2, 3, 4)),
    "pad of channels of a vector": ([Pad(((3, 2),))], (17,)),
}


@pytest.mark.parametrize("name", ROUTES)
def test_routing_moves_every_bit(name: str, backend: str) -> None:
    layers, shape = ROUTES[name]
    net = chain(layers, shape)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, *shape)).astype(np.float32)
    places = np.arange(1, 1 + np.prod(shape), dtype=np.float64).reshape(1, *shape)
    layout = explain(net, EPSILON, backend, places)[0][0]  # where each element goes; 0 is padding
    seed = rng.standard_normal((3, *layout.shape)).astype(np.float32)
    output, found, _ = explain(net, EPSILON, backend, x, seed)
    for sample in range(3):
        inside = layout != 0
        source = layout[inside].astype(int) - 1
        assert (output[sample][inside] == x[sample].ravel()[source]).all()
        assert (output[sample][~inside] == 0).all()
        assert (found[sample].ravel()[source] == seed[sample][inside]).all()


def test_cropping_leaves_nothing_outside(backend: str) -> None:
    found = relevance(chain([Pad(((0, 0), (-1, -1)))], (1, 4)), [[1, 2, 3, 4]], backend, [[5, 6]])
    np.testing.assert_array_equal(found, [[0, 5, 6, 0]])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_concat_splits_relevance_where_it_joined(axis: int, backend: str) -> None:
    nodes = [node("double", Affine(np.full((), 2.0), np.zeros(())), "x", "a"), node("join", Concat(axis), "x a x", "y")]
    shape = (3, 2, 4)
    joined = [size * (3 if index == axis else 1) for index, size in enumerate(shape)]
    seed = np.random.default_rng(1).standard_normal(joined).astype(np.float32)
    parts = np.split(seed.astype(np.float64), 3, axis=axis)
    found = relevance(graph(nodes, shape), np.ones(shape), backend, seed)
    np.testing.assert_allclose(found, parts[0] + parts[1] + parts[2], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("channels", [5, 16, 32])
def test_concat_of_a_value_with_itself(channels: int, backend: str) -> None:
    double = Affine(np.float32(2), np.float32(0))
    net = graph([node("double", double, "x", "a"), node("twice", Concat(0), "a a", "y")], (channels, 2, 2))
    x, seed = np.arange(8 * channels).reshape(2, channels, 2, 2), np.ones((2, 2 * channels, 2, 2))
    output, found, _ = explain(net, Composite("", [("affine", Gradient())]), backend, x, seed)
    np.testing.assert_array_equal(output, np.concatenate([2 * x, 2 * x], axis=1))
    np.testing.assert_array_equal(found, np.full(x.shape, 4))


def test_a_pool_shares_out_what_lies_within_a_concatenation(backend: str) -> None:
    weight = np.zeros((1, 32, 3), np.float32)
    weight[..., 1] = 1  # what is padded is there for nothing, but asks for room around the concatenation
    nodes = [
        node("on", Activation("relu"), "x", "a"),
        node("pool", MaxPool(window((3,), (1,), pads=1)), "a", "b"),
        node("join", Concat(0), "a b", "c"),
        node("conv", Convolution(weight, None, window((3,), pads=1)), "c", "y"),
    ]
    composite = Composite("", [("conv", Epsilon(0)), ("max", Ties())])
    found = explain(graph(nodes, (16, 3)), composite, backend, np.ones((1, 16, 3)), np.full((1, 1, 3), 6))[1]
    each = 6 / 32
    expected = [each + each * share for share in (1 / 2 + 1 / 3, 1 / 2 + 1 / 3 + 1 / 2, 1 / 3 + 1 / 2)]
    np.testing.assert_allclose(found[0], np.tile(expected, (16, 1)), rtol=1e-6)


def test_concat_of_uneven_channels_is_exact(backend: str) -> None:
    nodes = [
        node("front", Pad(((0, -2), (0, 0))), "x", "a"),
        node("back", Pad(((-3, 0), (0, 0))), "x", "b"),
        node("join", Concat(0), "b a", "y"),
    ]
    seed = np.arange(1, 11, dtype=np.float64).reshape(5, 2) / 3
    found = relevance(graph(nodes, (5, 2)), np.ones((5, 2)), backend, seed)
    np.testing.assert_array_equal(found, np.roll(seed, -2, axis=0).astype(found.dtype))
