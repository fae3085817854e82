"""The account of relevance: what a layer received is handed down or absorbed, and the table says where."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from lrpfast.composites import Composite, EpsilonGammaBox, named
from lrpfast.engine.audit import FIGURES, Audit
from lrpfast.engine.plan import Step, make_plan
from lrpfast.engine.reference import ReferenceEngine
from lrpfast.model.layers import Activation, Convolution, Dense, Layer, MaxPool, Reshape, Sum
from lrpfast.rules import AlphaBeta, Epsilon, Gamma, Norm, ReLUDeconvNet, Rule, WSquare, ZPlus
from oracles.books import audit_of
from oracles.graphs import BACKENDS, FLOATS, chain, explain, graph, node, small_cnn, window

#: what the figures may leave unexplained, as a share of the largest of a layer
ROUNDING = {"reference": 1e-12, "native": 2e-5}

COMPOSITES: dict[str, Composite] = {
    "epsilon": named("epsilon"),
    "coarse epsilon": Composite("coarse", [("conv", Epsilon(0.3)), ("dense", Epsilon(0.2))]),
    "epsilon_plus": named("epsilon_plus"),
    "epsilon_plus_flat": named("epsilon_plus_flat"),
    "epsilon_alpha2_beta1": named("epsilon_alpha2_beta1"),
    "epsilon_gamma_box": EpsilonGammaBox(-4, 4),
    "without bias": Composite("free", [("conv", Gamma(zero_bias=True)), ("dense", ZPlus(zero_bias=True))]),
    "squares": Composite("squares", [("conv", WSquare(0.1)), ("dense", WSquare(0.1))]),
}


def inputs(count: int, backend: str) -> Any:
    return np.random.default_rng(1).standard_normal((count, 3, 12, 12)).astype(FLOATS[backend])


HAND_MADE = audit_of(
    {
        "head": {
            "received": [2, 4],
            "handed_down": [1, 2],
            "bias": [0.5, 0.5],
            "stabilizer": [0, 1],
            "rule": [0.25, 0.5],
        },
        "features.0": {"received": [1e-5, 3e-5], "handed_down": [1e-5, 3e-5]},
    },
    (2,),
)


def test_an_audit_prints_means_over_samples() -> None:
    assert str(HAND_MADE) == (
        "layer       rule       received  handed down  bias  stabilizer  rule absorbed  rounding\n"
        "----------  ---------  --------  -----------  ----  ----------  -------------  --------\n"
        "head        Epsilon()  3         1.5          0.5   0.5         0.375          0.125\n"
        "features.0  Epsilon()  2e-05     2e-05        0     0           0              0"
    )


def test_rounding_is_what_the_other_figures_leave_open() -> None:
    assert HAND_MADE["head"].rounding.tolist() == [0.25, 0.0]


def test_layers_are_found_by_name_and_in_order() -> None:
    assert len(HAND_MADE) == 2
    assert [layer.name for layer in HAND_MADE] == ["head", "features.0"]
    assert HAND_MADE["features.0"] is HAND_MADE.layers[1]
    with pytest.raises(KeyError, match=r"no layer is named 'tail'; the layers are head, features\.0"):
        HAND_MADE["tail"]


def test_one_explanation_a_sample_leaves_out_its_axis() -> None:
    figures = {name: np.arange(2.0)[:, np.newaxis] + i for i, name in enumerate(FIGURES)}
    (alone,) = audit_of({"head": figures}, (2, 1)).single()
    assert (alone.name, alone.operator, alone.rule_name) == ("head", "Gemm", "Epsilon()")
    assert [getattr(alone, name).tolist() for name in FIGURES] == [[i, i + 1.0] for i in range(5)]


def test_the_account_of_batches_behind_one_another_is_that_of_one() -> None:
    parts = [audit_of({"head": {"received": [1, 2]}}, (2,)), audit_of({"head": {"received": [3]}}, (1,))]
    joined = Audit.joined(parts)
    assert joined["head"].received.tolist() == [1, 2, 3]
    assert joined.figures.shape == (1, len(FIGURES), 3)


def test_an_account_that_is_found_when_somebody_looks_pickles() -> None:
    found = pickle.loads(pickle.dumps(HAND_MADE.joined([HAND_MADE, HAND_MADE])))
    assert found["head"].rule.tolist() == [0.25, 0.5, 0.25, 0.5]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", COMPOSITES)
def test_every_part_of_relevance_is_accounted_for(name: str, backend: str) -> None:
    _, relevance, audit = explain(small_cnn(biased=True), COMPOSITES[name], backend, inputs(3, backend))
    for layer in audit:
        largest = np.max([np.abs(getattr(layer, figure)) for figure in FIGURES])
        assert layer.received.shape == (3, 1)
        assert largest > 0
        assert np.abs(layer.rounding).max() <= ROUNDING[backend] * largest, layer.name
    arrived = relevance.sum(axis=(1, 2, 3), dtype=np.float64)
    scale = np.abs(relevance).sum(axis=(1, 2, 3), dtype=np.float64).max()
    np.testing.assert_allclose(audit["n0"].handed_down[:, 0], arrived, atol=ROUNDING[backend] * scale)


@pytest.mark.parametrize("backend", BACKENDS)
def test_in_a_chain_each_layer_receives_what_the_one_above_handed_down(backend: str) -> None:
    output, _, audit = explain(small_cnn(), COMPOSITES["epsilon_plus"], backend, inputs(2, backend))
    assert [layer.name for layer in audit] == [f"n{index}" for index in range(9, -1, -1)]
    np.testing.assert_allclose(audit["n9"].received[:, 0], output.sum(axis=1), rtol=1e-5)
    for above, below in zip(audit.layers[:-1], audit.layers[1:], strict=True):
        assert (below.received == above.handed_down).all(), below.name


@pytest.mark.parametrize("backend", BACKENDS)
def test_where_branches_meet_their_relevance_adds_up(backend: str) -> None:
    def dense(*weights: float) -> Dense:
        return Dense(np.diag(np.array(weights, np.float32)), None)

    net = graph(
        [
            node("stem", dense(1, 1), "x", "a"),
            node("long", dense(3, 1), "a", "b"),
            node("sum", Sum(), "a b", "c"),
        ],
        (2,),
    )
    composite = Composite("exact", [("dense", Epsilon(0)), ("sum", Norm(0))])
    _, relevance, audit = explain(net, composite, backend, [[1.0, 2.0]], [[8.0, 2.0]])
    assert [layer.name for layer in audit] == ["sum", "long", "stem"]
    assert audit["sum"].handed_down.item() == pytest.approx(10)
    assert audit["long"].received.item() == pytest.approx(7)
    assert audit["stem"].received.item() == pytest.approx(10)
    np.testing.assert_allclose(relevance, [[8, 2]], rtol=1e-6)


def test_who_watches_the_reference_sees_the_relevance_that_the_figures_sum_up() -> None:
    seen: dict[str, list[float]] = {}

    def watch(step: Step, output: Any, received: Any, handed: list[Any]) -> None:
        assert received.shape == output.shape
        seen[step.node.name] = [received.sum(), sum(part.sum() for part in handed)]

    engine = ReferenceEngine(make_plan(small_cnn(), COMPOSITES["epsilon_plus"]))
    output, state = engine.forward(inputs(1, "reference"))
    audit = engine.relevance(state, output[:, np.newaxis], watch=watch).audit
    assert list(seen) == [layer.name for layer in audit]
    for layer in audit:
        assert seen[layer.name] == pytest.approx([layer.received.item(), layer.handed_down.item()])


def figures_of(layer: Layer, rule: Rule, x: Any, seed: Any, backend: str) -> list[float]:
    """Received, handed down, and absorbed by bias, stabilizer and rule, of one layer for one sample."""
    composite = Composite("one", [(layer.kind, rule)])
    _, _, audit = explain(chain([layer], (len(x),)), composite, backend, [x], [seed])
    return [getattr(audit["n0"], name).item() for name in FIGURES]


def dense(weights: list[float], bias: float) -> Dense:
    return Dense(np.array([weights], np.float32), np.array([bias], np.float32))


#: layer, rule, input, seed, and the figures worked by hand
BY_HAND: dict[str, tuple[Layer, Rule, list[float], list[float], list[float]]] = {
    # z = 4, stabilized 5, so s = 2: 2 (1 + 2) go down, 2 x 1 to the bias, 2 x 1 to the stabilizer
    "epsilon": (dense([1, 2], 1), Epsilon(1), [1, 1], [10], [10, 6, 2, 2, 0]),
    # z = -4, stabilized -5, so s = -2
    "a negative unit": (dense([-1, -2], -1), Epsilon(1), [1, 1], [10], [10, 6, 2, 2, 0]),
    # the bias is left out: z = 3, stabilized 4, so s = 2.5
    "zero bias": (dense([1, 2], 1), Epsilon(1, zero_bias=True), [1, 1], [10], [10, 7.5, 0, 2.5, 0]),
    # z+ = 3 of the input and 1 of the bias; what speaks against does not count
    "zplus": (dense([3, -2], 1), ZPlus(0), [1, 1], [8], [8, 6, 2, 0, 0]),
    # nothing speaks for the unit, so the rule has nobody to give to
    "zplus with nothing to give to": (dense([-3, -2], -1), ZPlus(0), [1, 1], [8], [8, 0, 0, 0, 8]),
    # half speaks for, half against: 2 R down for, R up against
    "alpha beta": (dense([3, -2], 0), AlphaBeta(2, 1, 0), [1, 1], [8], [8, 8, 0, 0, 0]),
    # nothing speaks against, so the share of beta is handed to nobody, and is missing from what was received
    "alpha beta, all for": (dense([3, 2], 0), AlphaBeta(2, 1, 0), [1, 1], [8], [8, 16, 0, 0, -8]),
    # alpha (3 / 4) R down and alpha R / 4 to the bias, less beta R for what speaks against
    "alpha beta, bias": (dense([3, -2], 1), AlphaBeta(2, 1, 0), [1, 1], [8], [8, 4, 4, 0, 0]),
    # z = 0 passes nothing
    "gamma at zero": (dense([1, -1], 0), Gamma(1, 0), [1, 1], [8], [8, 0, 0, 0, 8]),
    # z = 2 > 0, P = (6, -1), stabilized 6: s = 1
    "gamma": (dense([3, -1], 0), Gamma(1, 1), [1, 1], [6], [6, 5, 0, 1, 0]),
    # what is negative is cut off
    "deconvnet": (Activation("relu"), ReLUDeconvNet(), [1, 1], [3, -5], [-2, 3, 0, 0, -5]),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", BY_HAND)
def test_figures_worked_by_hand(case: str, backend: str) -> None:
    layer, rule, x, seed, expected = BY_HAND[case]
    assert figures_of(layer, rule, x, seed, backend) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_layers_that_move_relevance_absorb_none_and_say_what_they_do(backend: str) -> None:
    layers: list[Layer] = [
        Convolution(np.ones((2, 1, 1, 1), np.float32), None, window((1, 1))),
        MaxPool(window((2, 2), (2, 2))),
        Activation("relu"),
        Reshape((8,)),
    ]
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    _, _, audit = explain(chain(layers, (1, 4, 4)), Composite("exact", [("conv", Epsilon(0))]), backend, x)
    names = {layer.name: layer.rule_name for layer in audit}
    assert names == {"n3": "moved", "n2": "Pass()", "n1": "winner takes all", "n0": "Epsilon(epsilon=0)"}
    assert {layer.name: layer.operator for layer in audit}["n1"] == "MaxPool"
    for layer in audit:
        assert layer.received.item() == pytest.approx(2 * (5 + 7 + 13 + 15))
        assert layer.handed_down.item() == pytest.approx(layer.received.item())
        assert [getattr(layer, name).item() for name in FIGURES[2:]] == pytest.approx([0, 0, 0], abs=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_without_bias_epsilon_loses_nothing_but_what_its_stabilizer_takes(backend: str) -> None:
    x = inputs(2, backend)
    for epsilon in (0.0, 0.2):
        composite = Composite("epsilon", [("conv", Epsilon(epsilon)), ("dense", Epsilon(epsilon))])
        _, _, audit = explain(small_cnn(biased=False), composite, backend, x)
        assert all((layer.bias == 0).all() for layer in audit)
        weighted = [layer for layer in audit if layer.operator in ("Convolution", "Dense")]
        assert all((layer.stabilizer != 0).all() == (epsilon > 0) for layer in weighted)
