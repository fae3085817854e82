"""The presets: which rule each layer of a sample network gets."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import lrpfast.composites
from lrpfast.composites import PRESETS, Composite, DeepTaylorBounded, EpsilonGammaBox, named
from lrpfast.engine.plan import make_plan
from lrpfast.errors import CompositeError
from lrpfast.model.graph import Graph
from lrpfast.model.layers import Activation, Affine, AveragePool, Convolution, Dense, MaxPool, Reshape, Sum
from oracles.graphs import graph, node, small_cnn, weights, window

RNG = np.random.default_rng(0)


def sample(first: str = "conv") -> Graph:
    """A residual network with a layer of every kind; its first weighted layer is a convolution or dense."""
    conv = Convolution(weights(RNG, 3, 3, 3, 3), None, window((3, 3), pads=1))
    stem = conv if first == "conv" else Dense(weights(RNG, 48, 48), None)
    relu = Activation("relu")
    nodes = [
        node("flat", Reshape((48,) if first == "dense" else (3, 4, 4)), "x", "x0"),
        node("stem", stem, "x0", "a0"),
        node("fold", Reshape((3, 4, 4)), "a0", "a"),
        node("norm", Affine(np.ones((3, 1, 1)), np.zeros((3, 1, 1))), "a", "b"),
        node("relu", relu, "b", "c"),
        node("conv", conv, "c", "d"),
        node("sum", Sum(), "c d", "e"),
        node("swish", Activation("hard_swish"), "e", "f"),
        node("max", MaxPool(window((2, 2), (2, 2))), "f", "g"),
        node("mean", AveragePool(window((0, 0))), "g", "h"),
        node("rows", Reshape((3,)), "h", "i"),
        node("dense", Dense(weights(RNG, 2, 3), None), "i", "y"),
    ]
    return graph(nodes, (3, 4, 4))


def rules(composite: Composite, net: Graph) -> dict[str, str]:
    """The rule of every layer that is not only moved, as text."""
    return {step.node.name: str(step.rule) for step in make_plan(net, composite).steps if step.info.kind != "routing"}


def layered(stem: str, conv: str, dense: str) -> dict[str, str]:
    """What the presets that redistribute relevance have in common."""
    common = {"norm": "Pass()", "relu": "Pass()", "sum": "Norm()", "swish": "Pass()", "max": "Gradient()"}
    return {"stem": stem, **common, "mean": "Norm()", "conv": conv, "dense": dense}


def gradients(relu: str) -> dict[str, str]:
    """Gradient for all layers but ReLU."""
    return dict.fromkeys(layered("", "", ""), "Gradient()") | {"relu": relu}


EXPECTED = {
    "epsilon": layered("Epsilon()", "Epsilon()", "Epsilon()"),
    "zplus": layered("ZPlus()", "ZPlus()", "ZPlus()"),
    "epsilon_plus": layered("ZPlus()", "ZPlus()", "Epsilon()"),
    "epsilon_plus_flat": layered("Flat()", "ZPlus()", "Epsilon()"),
    "epsilon_alpha2_beta1": layered("AlphaBeta()", "AlphaBeta()", "Epsilon()"),
    "epsilon_alpha2_beta1_flat": layered("Flat()", "AlphaBeta()", "Epsilon()"),
    "epsilon_gamma_box": layered("ZBox(low=-2.1, high=2.6)", "Gamma()", "Epsilon()"),
    "excitation_backprop": gradients("Gradient()")
    | dict.fromkeys(["stem", "conv", "dense"], "ZPlus()")
    | dict.fromkeys(["sum", "mean"], "Norm()"),
    "preset_a": layered("AlphaBeta(alpha=1, beta=0)", "AlphaBeta(alpha=1, beta=0)", "Epsilon(epsilon=0.1)"),
    "preset_a_flat": layered("Flat()", "AlphaBeta(alpha=1, beta=0)", "Epsilon(epsilon=0.1)"),
    "preset_b": layered("AlphaBeta()", "AlphaBeta()", "Epsilon(epsilon=0.1)"),
    "preset_b_flat": layered("Flat()", "AlphaBeta()", "Epsilon(epsilon=0.1)"),
    "deep_taylor": gradients("Gradient()") | dict.fromkeys(["stem", "conv", "dense"], "WSquare()"),
    "deep_taylor_bounded": gradients("Gradient()")
    | dict.fromkeys(["conv", "dense"], "WSquare()")
    | {"stem": "ZBox(low=-2.1, high=2.6)"},
    "gradient": gradients("Gradient()"),
    "gradient_x_input": gradients("Gradient()"),
    "deconvnet": gradients("ReLUDeconvNet()"),
    "guided_backprop": gradients("ReLUGuidedBackprop()"),
    "beta_smooth": gradients("ReLUBetaSmooth()"),
}


def preset(name: str) -> Composite:
    bounded = {"epsilon_gamma_box": EpsilonGammaBox, "deep_taylor_bounded": DeepTaylorBounded}
    return bounded[name](low=-2.1, high=2.6) if name in bounded else named(name)


@pytest.mark.parametrize("name", EXPECTED)
def test_rules_of_a_preset(name: str) -> None:
    assert rules(preset(name), sample()) == EXPECTED[name]


def test_every_preset_is_tested_here() -> None:
    assert set(EXPECTED) == set(PRESETS)


@pytest.mark.parametrize("name", ["epsilon_plus_flat", "epsilon_alpha2_beta1_flat", "preset_a_flat", "preset_b_flat"])
def test_flat_takes_a_first_dense_layer_too(name: str) -> None:
    assert rules(preset(name), sample("dense")) == EXPECTED[name]


def test_the_box_is_for_convolutions_alone() -> None:
    assert rules(preset("epsilon_gamma_box"), sample("dense"))["stem"] == "Epsilon()"


def test_deep_taylor_takes_positive_contributions_where_an_activation_follows() -> None:
    found = rules(preset("deep_taylor"), small_cnn())
    assert [found[name] for name in ("n0", "n3", "n7", "n9")] == ["ZPlus(zero_bias=True)"] * 3 + ["WSquare()"]
    assert rules(preset("deep_taylor_bounded"), small_cnn())["n0"] == "ZBox(low=-2.1, high=2.6)"


@pytest.mark.parametrize("name", EXPECTED)
def test_gradients_are_seeded_with_one(name: str) -> None:
    composite = preset(name)
    gradient = name in ("gradient", "gradient_x_input", "deconvnet", "guided_backprop", "beta_smooth")
    assert composite.seed == ("one" if gradient else "score")
    assert composite.times_input == (name == "gradient_x_input")
    assert composite.name == name


def test_parameters_of_presets_reach_the_rules() -> None:
    found = rules(EpsilonGammaBox(low=0, high=1, epsilon=0.5, gamma=0.125, stabilizer=0.25), sample())
    assert found["stem"] == "ZBox(low=0, high=1, stabilizer=0.25)"
    assert found["conv"] == "Gamma(gamma=0.125, stabilizer=0.25)"
    assert found["dense"] == "Epsilon(epsilon=0.5)"


@pytest.mark.parametrize("name", EXPECTED)
def test_presets_are_public_functions(name: str) -> None:
    factory = PRESETS[name]
    assert getattr(lrpfast.composites, factory.__name__) is factory
    assert factory.__name__ in lrpfast.composites.__all__
    assert inspect.getdoc(factory)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "epsilon_plus_flt",
            r"^There is no preset 'epsilon_plus_flt'\. Did you mean epsilon_plus_flat or epsilon_plus",
        ),
        ("EpsilonPlus", r"^There is no preset 'EpsilonPlus'\. Did you mean epsilon_plus"),
        ("lrp", r"^There is no preset 'lrp'\. The presets are: epsilon_plus, .*beta_smooth\.$"),
        ("", r"^There is no preset ''\. The presets are: "),
    ],
)
def test_an_unknown_preset_is_answered_with_those_that_there_are(name: str, message: str) -> None:
    with pytest.raises(CompositeError, match=message):
        named(name)


def test_a_preset_that_needs_parameters_says_how_to_give_them() -> None:
    call = r"pass composite=lrpfast\.composites\.EpsilonGammaBox\(low=\.\.\., high=\.\.\.\)\.$"
    with pytest.raises(CompositeError, match=rf"^The preset 'epsilon_gamma_box' needs low and high: {call}"):
        named("epsilon_gamma_box")
