"""What scikit-learn's scalers and linear models become means what onnxruntime says it means."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from lrpfast.errors import ModelError, UnsupportedError
from lrpfast.model import load
from lrpfast.model.layers import Affine, Dense, Gate
from lrpfast.model.onnx_import import read
from oracles.forward import forward
from oracles.onnx_models import make_model, node, relative_difference, run

RNG = np.random.default_rng(5)
X = RNG.normal(size=(4, 6)).astype(np.float32)


def ml(operator, inputs, outputs, **attributes):
    return node(operator, inputs, outputs, domain="ai.onnx.ml", **attributes)


def classifier(outputs="label y", classes=3, **attributes):
    return ml(
        "LinearClassifier", "x", outputs, classlabels_ints=range(classes), coefficients=RNG.normal(size=classes * 6),
        intercepts=RNG.normal(size=classes), multi_class=1, **attributes,
    )  # fmt: skip


def agrees(model, scores=None):
    """Load a model and compare it, raw and canonical, with onnxruntime, at its output or another value."""
    loaded = load(model)
    for graph in (read(model).graph, loaded.graph):
        assert relative_difference(forward(graph, X), run(model, X, scores)) < 2e-6
    return loaded


@pytest.mark.parametrize("size", [1, 6])
def test_a_scaler_folds_into_the_layer_behind_it(size):
    nodes = [
        ml("Scaler", "x", "s", offset=RNG.normal(size=size), scale=RNG.uniform(0.5, 2, size)),
        node("MatMul", "s w", "y"),
    ]
    model = make_model(nodes, ["N", 6], {"w": RNG.normal(size=(6, 3)).astype(np.float32)})
    assert [type(entry.layer) for entry in agrees(model).graph.nodes] == [Dense]


def test_a_scaler_alone_is_an_affine_layer():
    model = make_model([ml("Scaler", "x", "y", offset=[1.0], scale=[3.0])], ["N", 6])
    assert isinstance(agrees(model).graph.nodes[0].layer, Affine)


@pytest.mark.parametrize("intercepts", [{}, {"intercepts": [0.5, -1.5]}])
def test_a_linear_regressor_is_a_dense_layer(intercepts):
    regressor = ml("LinearRegressor", "x", "y", targets=2, coefficients=RNG.normal(size=12), **intercepts)
    assert agrees(make_model([regressor], ["N", 6])).output_shape == (None, 2)


def test_a_linear_classifier_is_a_dense_layer():
    assert agrees(make_model([classifier()], ["N", 6])).dropped_head is None


@pytest.mark.parametrize(("transform", "head"), [("SOFTMAX", "Softmax"), ("LOGISTIC", "Sigmoid")])
def test_the_function_at_the_end_of_a_linear_classifier_is_left_out(transform, head):
    plain = classifier()
    probable = helper.make_node("LinearClassifier", plain.input, ["label", "p"], domain="ai.onnx.ml")
    probable.attribute.extend([*plain.attribute, helper.make_attribute("post_transform", transform)])
    nodes = [probable, ml("Normalizer", "p", "n", norm="L1"), ml("ZipMap", "n", "y", classlabels_int64s=range(3))]
    loaded = load(make_model(nodes, ["N", 6]))
    assert loaded.dropped_head == head
    assert relative_difference(forward(loaded.graph, X), run(make_model([plain], ["N", 6]), X)) < 2e-6


def test_a_sigmoid_of_a_linear_classifier_in_the_middle_is_a_layer():
    model = make_model([classifier("label p", post_transform="LOGISTIC"), node("Neg", "p", "y")], ["N", 6])
    assert agrees(model).dropped_head is None


def test_of_label_and_scores_the_scores_are_explained():
    model = make_model([classifier("label scores")], ["N", 6], outputs="scores")
    model.graph.output.insert(0, helper.make_tensor_value_info("label", TensorProto.INT64, None))
    assert load(model).output_name == "scores"
    with pytest.raises(UnsupportedError, match="names a class"):
        load(model, output="label")


@pytest.mark.parametrize("norm", ["L1", "L2", "MAX"])
def test_a_normalizer_is_a_signal_and_its_gate(norm):
    model = make_model([node("Relu", "x", "r"), ml("Normalizer", "r", "y", norm=norm)], ["N", 6])
    assert sum(isinstance(entry.layer, Gate) for entry in agrees(model).graph.nodes) == 1


@pytest.mark.parametrize("norm", ["L1", "L2"])
def test_a_normalizer_leaves_zeros(norm):
    graph = load(make_model([ml("Normalizer", "x", "y", norm=norm)], ["N", 6])).graph
    np.testing.assert_array_equal(forward(graph, np.zeros((1, 6))), np.zeros((1, 6)))


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (classifier(post_transform="PROBIT"), UnsupportedError, "'PROBIT'"),
        (ml("LinearRegressor", "x", "y", targets=4, coefficients=[1.0] * 12), ModelError, "not 4 rows"),
    ],
)
def test_what_is_no_linear_model_is_refused(wrong, error, message):
    with pytest.raises(error, match=message):
        load(make_model([wrong], ["N", 6]))


def test_features_are_picked_by_number():
    given = {"places": np.array([4, 0, 4])}
    agrees(make_model([ml("ArrayFeatureExtractor", "x places", "f"), node("Neg", "f", "y")], ["N", 6], given))


def test_an_imputer_changes_nothing_in_an_input_without_gaps():
    filled = ml("Imputer", "x", "f", imputed_value_floats=[0.5] * 6, replaced_value_float=float("nan"))
    loaded = agrees(make_model([filled, node("Relu", "f", "y")], ["N", 6]))
    assert [entry.operator for entry in loaded.graph.nodes] == ["Relu"]


def test_an_imputer_that_replaces_a_number_is_refused():
    filled = ml("Imputer", "x", "f", imputed_value_floats=[0.5], replaced_value_float=-1.0)
    with pytest.raises(UnsupportedError, match="-1 for a gap"):
        load(make_model([filled, node("Relu", "f", "y")], ["N", 6]))


def test_a_binarizer_is_a_step():
    agrees(make_model([ml("Binarizer", "x", "y", threshold=0.25)], ["N", 6]))


def test_probabilities_that_may_all_be_zero_are_normalised():
    nodes = [
        node("Sigmoid", "x", "p"), node("ReduceSum", "p axes", "s"), node("Cast", "s", "b", to=TensorProto.BOOL),
        node("Not", "b", "n"), node("Cast", "n", "m", to=TensorProto.FLOAT), node("Add", "p m", "q"),
        node("Mul", "m count", "c"), node("Add", "s c", "t"), node("Div", "q t", "y"),
    ]  # fmt: skip
    agrees(make_model(nodes, ["N", 6], {"axes": np.array([1]), "count": np.float32(6)}))
