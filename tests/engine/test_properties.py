"""What must hold of relevance whatever the numbers: conservation, the account of losses, linearity, gradients."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lrpfast.composites import Composite, EpsilonGammaBox, named
from lrpfast.engine.audit import Audit
from lrpfast.model.graph import Graph
from lrpfast.model.layers import (
    Activation,
    Affine,
    AveragePool,
    Concat,
    Convolution,
    Dense,
    Gate,
    Gather,
    MaxPool,
    Reshape,
    Sum,
)
from lrpfast.rules import AlphaBeta, Epsilon, Flat, Gamma, Norm, Rule, WSquare, ZBox, ZPlus
from oracles.graphs import BACKENDS, bias, chain, explain, gated_net, graph, node, small_cnn, weights, window

#: share of the relevance at work that rounding may take over a whole network
ROUNDING = {"reference": 2e-15, "native": 1e-6}

REDISTRIBUTING = {
    name: named(name)
    for name in (
        "epsilon",
        "epsilon_plus",
        "epsilon_plus_flat",
        "epsilon_alpha2_beta1",
        "epsilon_alpha2_beta1_flat",
        "excitation_backprop",
        "preset_a",
        "preset_a_flat",
        "preset_b",
        "preset_b_flat",
        "zplus",
    )
} | {"epsilon_gamma_box": EpsilonGammaBox(low=-3, high=3)}


def inputs(batch: int = 3, channels: int = 3, seed: int = 5) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-2, 2, (batch, channels, 12, 12)).astype(np.float32)


def total(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Sum per sample."""
    return np.asarray(values.reshape(len(values), -1).sum(axis=1, dtype=np.float64))


def without_stabilizer(rule: Rule) -> Rule:
    """The rule with nothing added to its denominators."""
    if isinstance(rule, Epsilon):
        return replace(rule, epsilon=0.0)
    if isinstance(rule, ZPlus | AlphaBeta | Gamma | ZBox | Flat | Norm):
        return replace(rule, stabilizer=0.0)
    return rule


def exact(composite: Composite) -> Composite:
    """The composite without stabilizers."""
    entries = [(match, without_stabilizer(rule)) for match, rule in composite.entries]
    return Composite(composite.name, [*entries, ("sum", Norm(0)), ("average", Norm(0))])


def assert_balanced(found: npt.NDArray[Any], expected: npt.NDArray[Any], relevance: Any, backend: str) -> None:
    """Two sums per sample agree, up to rounding of the relevance that they are made of."""
    scale = total(np.abs(relevance))
    assert (np.abs(found - expected) <= ROUNDING[backend] * scale).all(), np.abs(found - expected) / scale


def balance_error(audit: Audit) -> float:
    """Largest part of what a layer received that the account does not explain, as a share of what it handles."""
    worst = 0.0
    for layer in audit:
        handled = np.abs(layer.received) + np.abs(layer.handed_down) + np.abs(layer.bias) + np.abs(layer.stabilizer)
        worst = max(worst, float((np.abs(layer.rounding) / np.maximum(handled, 1e-30)).max()))
    return worst


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", sorted(REDISTRIBUTING))
def test_relevance_is_conserved_without_biases(name: str, backend: str) -> None:
    output, found, _ = explain(small_cnn(biased=False), exact(REDISTRIBUTING[name]), backend, inputs())
    assert_balanced(total(found), total(output), found, backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", sorted(REDISTRIBUTING))
def test_the_account_explains_every_loss(name: str, backend: str) -> None:
    output, found, audit = explain(small_cnn(), REDISTRIBUTING[name], backend, inputs())
    assert balance_error(audit) < ROUNDING[backend]
    layers = list(audit)
    np.testing.assert_allclose(layers[0].received[:, 0], total(output), rtol=1e-6)
    np.testing.assert_allclose(layers[-1].handed_down[:, 0], total(found), rtol=1e-5)
    for above, below in pairwise(layers):
        np.testing.assert_array_equal(above.handed_down, below.received)
    assert any(np.abs(layer.bias).max() > 1e-3 * np.abs(output).max() for layer in layers)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "rule",
    [Epsilon(0.1), ZPlus(0.1), AlphaBeta(2, 1, 0.1), Gamma(0.25, 0.1), ZBox(-2, 2, 0.1), WSquare(0.1), Flat(0.1)],
    ids=str,
)
def test_the_account_of_one_layer(rule: Rule, backend: str) -> None:
    rng = np.random.default_rng(2)
    conv = Convolution(weights(rng, 17, 3, 3, 3), bias(rng, 17), window((3, 3), pads=1))
    seed = rng.uniform(-1, 1, (3, 17, 12, 12))
    _, _, audit = explain(chain([conv], (3, 12, 12)), Composite("one", [("conv", rule)]), backend, inputs(), seed)
    layer = audit["n0"]
    assert balance_error(audit) < ROUNDING[backend]
    assert (layer.stabilizer != 0).all()
    assert (np.abs(layer.bias) > 1e-3).all() == (not isinstance(rule, ZBox | Flat))
    passes_all = not isinstance(rule, Gamma)
    assert (np.abs(layer.rule) < 1e-4).all() or not passes_all


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", [*REDISTRIBUTING, "gradient", "guided_backprop", "gradient_x_input"])
def test_relevance_is_homogeneous_in_the_seed(name: str, backend: str) -> None:
    composite = REDISTRIBUTING.get(name) or named(name)
    seed = np.random.default_rng(1).uniform(-1, 1, (3, 5)).astype(np.float32)
    once = explain(small_cnn(), composite, backend, inputs(), seed)[1]
    np.testing.assert_array_equal(explain(small_cnn(), composite, backend, inputs(), 4 * seed)[1], 4 * once)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", [*REDISTRIBUTING, "gradient", "beta_smooth"])
def test_relevance_adds_over_seeds(name: str, backend: str) -> None:
    composite, rng = REDISTRIBUTING.get(name) or named(name), np.random.default_rng(1)
    one, other = rng.uniform(-1, 1, (2, 3, 5)).astype(np.float32)
    apart = [explain(small_cnn(), composite, backend, inputs(), seed)[1] for seed in (one, other)]
    together = explain(small_cnn(), composite, backend, inputs(), one.astype(np.float64) + other)[1]
    scale = max(np.abs(part).max() for part in apart)
    np.testing.assert_allclose(together, sum(apart), rtol=0, atol=ROUNDING[backend] * scale)


def gradient_by_differences(net: Graph, x: npt.NDArray[Any], unit: int) -> npt.NDArray[np.float64]:
    """Derivative of one output by every element of one sample, from small steps in float64."""
    step = 1e-6
    flat = x.astype(np.float64).ravel()
    probes = np.stack([flat + sign * step * np.eye(flat.size) for sign in (1, -1)]).reshape(-1, *x.shape)
    scores = explain(net, named("gradient"), "reference", probes)[0][:, unit].reshape(2, -1)
    return np.asarray((scores[0] - scores[1]) / (2 * step)).reshape(x.shape)


@pytest.mark.parametrize("net", [small_cnn(), gated_net()], ids=["plain", "gated"])
def test_gradient_is_the_derivative(net: Graph) -> None:
    x, one_hot = inputs(1), np.eye(5)[[2]]
    expected = gradient_by_differences(net, x[0], 2)
    found = explain(net, named("gradient"), "reference", x, one_hot)[1][0]
    assert np.abs(found - expected).max() < 1e-8
    times_input = explain(net, named("gradient_x_input"), "reference", x, one_hot)[1][0]
    np.testing.assert_array_equal(times_input, found * x[0].astype(np.float64))


@pytest.mark.parametrize("biased", [False, True], ids=["no bias", "biases"])
def test_epsilon_tends_to_gradient_times_input(biased: bool) -> None:
    net, x = small_cnn(biased=biased), inputs()
    index = explain(net, named("gradient"), "reference", x)[0].argmax(axis=1)
    score = explain(net, named("gradient"), "reference", x)[0][np.arange(3), index]
    one_hot = np.eye(5)[index]
    expected = explain(net, named("gradient_x_input"), "reference", x, one_hot)[1]
    seed = one_hot * score[:, np.newaxis]
    errors = []
    for epsilon in (1e-3, 1e-6, 1e-9):
        composite = Composite("epsilon", [("conv", Epsilon(epsilon)), ("dense", Epsilon(epsilon))])
        found = explain(net, composite, "reference", x, seed)[1]
        errors.append(np.abs(found - expected).max() / np.abs(expected).max())
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-6


def residual_net(biased: bool = False) -> Graph:
    """Two residual blocks (one with a projection), a concatenation and a global average, 4 classes."""
    rng = np.random.default_rng(4)

    def conv(outputs: int, channels: int, size: int, **geometry: Any) -> Convolution:
        given = bias(rng, outputs) * np.float32(0.2) if biased else None
        return Convolution(weights(rng, outputs, channels, size, size), given, window((size, size), **geometry))

    relu = Activation("relu")
    nodes = [
        node("conv0", conv(6, 3, 3, pads=1), "x", "a"),
        node("relu0", relu, "a", "b"),
        node("conv1", conv(6, 6, 3, pads=1), "b", "c"),
        node("sum1", Sum(), "b c", "d"),
        node("relu1", relu, "d", "e"),
        node("conv2", conv(9, 6, 3, pads=1, strides=(2, 2)), "e", "f"),
        node("short2", conv(9, 6, 1, strides=(2, 2)), "e", "g"),
        node("sum2", Sum(), "f g", "h"),
        node("relu2", relu, "h", "i"),
        node("conv3", conv(5, 9, 1), "i", "j"),
        node("relu3", relu, "j", "k"),
        node("pool3", MaxPool(window((3, 3), pads=1)), "i", "l"),
        node("join", Concat(0), "k l i", "m"),
        node("average", AveragePool(window((0, 0))), "m", "n"),
        node("flatten", Reshape((23,)), "n", "o"),
        node("classes", Dense(weights(rng, 4, 23), bias(rng, 4) if biased else None), "o", "y"),
    ]
    return graph(nodes, (3, 12, 12))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["epsilon", "epsilon_plus_flat", "epsilon_gamma_box", "zplus"])
def test_residual_sums_and_branches_conserve_relevance(name: str, backend: str) -> None:
    output, found, audit = explain(residual_net(), exact(REDISTRIBUTING[name]), backend, inputs())
    lost = np.zeros(3)
    for layer in audit:
        lost += layer.rule[:, 0]
        if layer.rule_name.startswith("ZPlus"):
            continue  # ahead of a sum, it drops what a unit receives that nothing speaks for
        assert_balanced(layer.handed_down[:, 0], layer.received[:, 0], found, backend)
    assert_balanced(total(found) + lost, total(output), found, backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_gate_hands_all_to_its_signal(backend: str) -> None:
    net = graph(
        [node("halve", Affine(np.float32(0.5), np.float32(1)), "x", "a"), node("gate", Gate(), "x a", "y")], (3,)
    )
    seed = np.array([[1, -2, 4]], np.float32)
    np.testing.assert_array_equal(explain(net, Composite("", []), backend, [[3, 0, -1]], seed)[1], seed)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_value_in_several_places_gets_what_all_of_them_get(backend: str) -> None:
    net, seed = chain([Gather(0, (2, 0, 2, 2))], (3,)), np.array([[1, -2, 4, 8]], np.float32)
    np.testing.assert_array_equal(explain(net, Composite("", []), backend, [[3, 0, -1]], seed)[1], [[-2, 0, 13]])


@pytest.mark.parametrize("backend", BACKENDS)
def test_branches_share_a_sum_by_contribution(backend: str) -> None:
    nodes = [
        node("triple", Affine(np.full((), 3.0), np.zeros(())), "x", "a"),
        node("sum", Sum(), "x a", "y"),
    ]
    x = np.array([[1.0, -2.0, 0.5]])
    _, found, audit = explain(graph(nodes, (3,)), named("epsilon"), backend, x, [[8, 8, 8]])
    np.testing.assert_allclose(found, [[8, 8, 8]], rtol=4e-6)
    np.testing.assert_allclose(audit["triple"].received, [[18]], rtol=4e-6)
