"""Comparisons are steps, what chooses by them is a gate, and both are exact to the last float."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto

from lrpfast import check
from lrpfast.errors import UnsupportedError
from lrpfast.model import load
from lrpfast.model.layers import Activation, Gate
from lrpfast.model.onnx_import import read
from oracles.books import balanced
from oracles.forward import forward
from oracles.onnx_models import make_model, node, relative_difference, run

RNG = np.random.default_rng(8)
LEVELS = [0.0, 0.1, -0.3, 1.0, 20.0, 1e-12, -7e6, 3e9]
CONSTANTS = {
    "w": RNG.normal(size=(4, 3, 3, 3)).astype(np.float32), "b": RNG.normal(size=4).astype(np.float32),
    "v": RNG.normal(size=(5, 4)).astype(np.float32), "u": RNG.normal(size=5).astype(np.float32),
    "zero": np.float32(0), "small": np.float32(0.2), "low": np.float32(-0.4), "half": np.float32(0.5),
    "tenth": np.float32(0.1), "most": np.float32(20), "levels": RNG.normal(size=(4, 1, 1)).astype(np.float32),
    "mask": np.array([True, False, True, False]).reshape(1, 4, 1, 1), "yes": np.array(True),
    "inside": np.float32(-np.inf), "first": np.array([1, 2, 3]), "two": np.float32(2), "limit": np.float32(1),
}  # fmt: skip


def model_of(nodes, shape=(3, 6, 5), opset=17):
    used = {name for entry in nodes for name in entry.input}
    given = {name: array for name, array in CONSTANTS.items() if name in used}
    return make_model(nodes, ["N", *shape], given, opset=opset)


def classifier(nodes):
    """A convolution, what makes "f" of its output "c", and a dense layer."""
    end = [node("GlobalAveragePool", "f", "g"), node("Flatten", "g", "h"), node("Gemm", "h v u", "y", transB=1)]
    return model_of([node("Conv", "x w b", "c"), *nodes, *end])


def around(level):
    """A level, its neighbours among the floats, and numbers farther away."""
    level = np.float32(level)
    near = [level, np.nextafter(level, np.float32(np.inf)), np.nextafter(level, np.float32(-np.inf))]
    return np.array([[*near, -level, 0, 1e-20, -1e-20, 1e9, -1e9, 3e30, -3e30]], np.float32)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("order", ["x k", "k x"])
@pytest.mark.parametrize("operator", ["Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal"])
def test_comparisons_with_a_level_are_exact(operator, order, level):
    nodes = [node(operator, order, "c"), node("Cast", "c", "y", to=TensorProto.FLOAT)]
    x = around(level) if level else around(level)[:, 3:]  # neighbours of zero are no normal numbers
    model = make_model(nodes, ["N", x.shape[1]], {"k": np.float32(level)})
    np.testing.assert_array_equal(forward(load(model).graph, x), run(model, x))


@pytest.mark.parametrize("level", LEVELS)
def test_the_core_compares_exactly(level):
    from lrpfast import LRP

    x = around(level) if level else around(level)[:, 3:]
    nodes = [node("GreaterOrEqual", "x k", "c"), node("Cast", "c", "y", to=TensorProto.FLOAT)]
    model = make_model(nodes, ["N", x.shape[1]], {"k": np.float32(level)})
    np.testing.assert_array_equal(LRP(load(model), "epsilon").scores(x), run(model, x))


OUTCOMES = {
    "of two activations": [node("Neg", "c", "n"), node("Less", "c n", "o")],
    "with a level for each channel": [node("LessOrEqual", "c levels", "o")],
    "not": [node("Greater", "c small", "a"), node("Not", "a", "o")],
    "and": [node("Greater", "c low", "a"), node("Less", "c small", "b0"), node("And", "a b0", "o")],
    "or": [node("Less", "c low", "a"), node("Greater", "c small", "b0"), node("Or", "a b0", "o")],
    "xor": [node("Greater", "c low", "a"), node("Greater", "c small", "b0"), node("Xor", "a b0", "o")],
    "and a mask": [node("Greater", "c low", "a"), node("And", "a mask", "o")],
    "or a mask": [node("Greater", "c low", "a"), node("Or", "mask a", "o")],
    "xor a mask": [node("Greater", "c low", "a"), node("Xor", "a mask", "o")],
    "what is not zero": [node("Relu", "c", "r"), node("Cast", "r", "o", to=TensorProto.BOOL)],
    "as whole numbers": [node("Greater", "c low", "a"), node("Cast", "a", "i", to=TensorProto.INT32),
                         node("Cast", "i", "o", to=TensorProto.BOOL)],
}  # fmt: skip


@pytest.mark.parametrize("case", OUTCOMES)
def test_outcomes_are_gates(case):
    nodes = [*OUTCOMES[case], node("Cast", "o", "m", to=TensorProto.FLOAT), node("Mul", "m c", "f")]
    agrees(classifier(nodes))


CHOICES = {
    "a number, below": [node("LessOrEqual", "c small", "o"), node("Where", "o low c", "f")],
    "a number, above": [node("Greater", "c small", "o"), node("Where", "o c low", "f")],
    "zero, within": [node("Abs", "c", "a"), node("LessOrEqual", "a half", "o"), node("Where", "o zero c", "f")],
    "two activations": [node("Tanh", "c", "t"), node("Greater", "c small", "o"), node("Where", "o t c", "f")],
    "two numbers": [node("Greater", "c small", "o"), node("Where", "o half low", "f")],
    "a smaller outcome": [node("GlobalAveragePool", "c", "m"), node("Greater", "m zero", "o"),
                          node("Where", "o c low", "f")],
    "by a mask": [node("Where", "mask c low", "f")],
    "by a mask, the other way": [node("Where", "mask low c", "f")],
    "two activations by a mask": [node("Tanh", "c", "t"), node("Where", "mask t c", "f")],
    "always the first": [node("Tanh", "c", "t"), node("Where", "yes t c", "f")],
    "what is above a level": [node("ThresholdedRelu", "c", "f", alpha=0.2)],
    "shrunk": [node("Shrink", "c", "f", lambd=0.3, bias=0.1)],
    "sign": [node("Sign", "c", "f")],
}  # fmt: skip


@pytest.mark.parametrize("case", CHOICES)
def test_choices_by_an_outcome(case):
    agrees(classifier(CHOICES[case]))


def agrees(model):
    """Compare a model with onnxruntime, raw and canonical, its relevance in both backends, and its books."""
    loaded, x = load(model), np.random.default_rng(3).normal(size=(2, 3, 6, 5)).astype(np.float32)
    expected = run(model, x)
    for graph in (read(model).graph, loaded.graph):
        assert relative_difference(forward(graph, x), expected) < 2e-6
    balanced(loaded, x)


def test_a_choice_is_a_convention_and_named_as_one():
    report = check(load(classifier(CHOICES["a number, below"])))
    assert {layer.verdict for layer in report.layers if layer.kind == "gate"} == {"heuristic"}


def test_infinity_is_not_filled_in():
    with pytest.raises(UnsupportedError, match="infinity"):
        load(classifier([node("Greater", "c small", "o"), node("Where", "o c inside", "f")]))


WRITTEN_OUT = {
    "relu": [node("Less", "x zero", "o"), node("Where", "o zero x", "y")],
    "relu, by a product": [node("Greater", "x zero", "o"), node("Cast", "o", "m", to=1), node("Mul", "x m", "y")],
    "leaky_relu": [node("Greater", "x zero", "o"), node("Mul", "x tenth", "t"), node("Where", "o x t", "y")],
    "softplus": [node("Softplus", "x", "s"), node("Greater", "x most", "o"), node("Where", "o x s", "y")],
    "clip": [node("Less", "x low", "a"), node("Where", "a low x", "l"), node("Greater", "l limit", "o"),
             node("Where", "o limit l", "y")],
}  # fmt: skip


@pytest.mark.parametrize("case", WRITTEN_OUT)
def test_a_function_that_is_written_as_a_choice_is_one_layer(case):
    model = model_of(WRITTEN_OUT[case])
    (entry,) = load(model).graph.nodes
    assert entry.layer.function == case.partition(",")[0]
    x = np.random.default_rng(3).normal(size=(2, 3, 6, 5)).astype(np.float32)
    assert relative_difference(forward(load(model).graph, x), run(model, x)) < 1e-6


def test_a_softplus_of_another_sharpness_keeps_its_factors():
    nodes = [node("Mul", "x two", "d"), node("Softplus", "d", "s"), node("Div", "s two", "q"),
             node("Greater", "d most", "o"), node("Where", "o x q", "y")]  # fmt: skip
    kinds = [entry.layer for entry in load(model_of(nodes)).graph.nodes]
    assert [layer.kind for layer in kinds] == ["affine", "activation", "affine"]
    assert isinstance(kinds[1], Activation)
    assert kinds[1].function == "softplus"


NOT_A_RELU = {
    "threshold off zero": [node("Greater", "x tenth", "o"), node("Cast", "o", "m", to=1), node("Mul", "x m", "y")],
    "ceiling far away": [node("Relu", "x", "r"), node("Greater", "x most", "o"), node("Where", "o most r", "y")],
    "nothing at all": [node("Mul", "x zero", "n"), node("Greater", "x zero", "o"), node("Where", "o n zero", "y")],
}  # fmt: skip


@pytest.mark.parametrize("case", NOT_A_RELU)
def test_a_choice_at_another_place_stays_a_gate(case):
    model, x = model_of(NOT_A_RELU[case]), np.random.default_rng(3).normal(0, 20, (2, 3, 6, 5)).astype(np.float32)
    loaded = load(model)
    assert any(isinstance(entry.layer, Gate) for entry in loaded.graph.nodes)
    np.testing.assert_allclose(forward(loaded.graph, x), run(model, x), rtol=1e-6)
