"""Multi-layer perceptrons of scikit-learn, written as ONNX from their weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from lrpfast.errors import InputError, InputTypeError, UnsupportedError
from lrpfast.model import Model, load

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

Weights: TypeAlias = npt.NDArray[np.floating[Any]]

ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh", "logistic": "Sigmoid", "exp": "Exp", "softmax": "Softmax"}
ANYTHING_ELSE = "Other estimators become ONNX by skl2onnx: lrpfast.load(skl2onnx.to_onnx(estimator, x[:1]))."


def from_sklearn(estimator: BaseEstimator, shape: Sequence[int] | None = None) -> Model:
    """Read a trained multi-layer perceptron of scikit-learn, alone or behind scalers.

    Outputs are those of ``predict_proba`` before the softmax or sigmoid, numbered as in ``classes_``; of two classes
    each has its log-odds. Those of a regressor are its predictions.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor, or Pipeline
        A pipeline may hold StandardScaler and MinMaxScaler ahead of the perceptron.
    shape : sequence of int, optional
        Shape of a sample where its features are pixels, channels first: with ``(1, 8, 8)`` inputs and relevance are
        (N, 1, 8, 8) rather than (N, 64), and `Attribution.save` writes pictures.

    Returns
    -------
    Model

    Raises
    ------
    InputTypeError
        What is given is no estimator, or a class of estimators.
    InputError
        The estimator is not fitted, or `shape` has another number of elements than it has features.
    UnsupportedError
        It is another kind of estimator, or a pipeline with other steps.

    Examples
    --------
    >>> estimator = make_pipeline(StandardScaler(), MLPClassifier()).fit(x, y)
    >>> lrpfast.LRP(lrpfast.from_sklearn(estimator)).attribute(x[:1]).relevance
    """
    from sklearn.base import BaseEstimator
    from sklearn.exceptions import NotFittedError
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import Pipeline
    from sklearn.utils.validation import check_is_fitted

    if not isinstance(estimator, BaseEstimator):
        raise InputTypeError(f"from_sklearn takes an estimator of scikit-learn, not {type(estimator).__name__}.")
    *before, last = [step for _, step in estimator.steps] if isinstance(estimator, Pipeline) else [estimator]
    if not isinstance(last, (MLPClassifier, MLPRegressor)):
        raise UnsupportedError(
            f"from_sklearn takes MLPClassifier and MLPRegressor, not {type(last).__name__}. {ANYTHING_ELSE}"
        )
    try:
        check_is_fitted(last)
    except NotFittedError as error:
        raise InputError(f"{type(last).__name__} has no weights yet; call fit first.") from error
    features = len(last.coefs_[0])  # scalers keep their number
    if shape is not None and math.prod(shape) != features:
        raise InputError(f"Samples of shape {tuple(shape)} do not have the {features} features of the estimator.")
    written = _Written()
    if shape is not None:
        written.add("Reshape", np.array([-1, features]))
    for step in before:
        _scale(written, step)
    _perceptron(written, last)
    return load(written.model(type(last).__name__, tuple(shape or (features,))))


@dataclass
class _Written:
    """Nodes in a row, and the constants that they read."""

    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)
    value: str = "input"

    def add(self, operator: str, *constants: npt.NDArray[Any], name: str = "", **attributes: Any) -> None:
        name = name or f"{operator.lower()}_{len(self.nodes)}"
        known = [f"{name}.{number}" for number in range(len(constants))]
        for key, array in zip(known, constants, strict=True):
            kept = array if array.dtype.kind == "i" else np.asarray(array, np.float32)
            self.constants.append(numpy_helper.from_array(kept, key))
        self.nodes.append(helper.make_node(operator, [self.value, *known], [f"{name}.out"], name, **attributes))
        self.value = f"{name}.out"

    def model(self, name: str, shape: tuple[int, ...]) -> ModelProto:
        source = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", *shape])
        result = helper.make_tensor_value_info(self.value, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, name, [source], [result], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _scale(written: _Written, scaler: Any) -> None:
    """A step ahead of the perceptron: ``(x - mean) / scale`` or ``x scale + min``."""
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    if isinstance(scaler, StandardScaler):
        if scaler.with_mean:
            written.add("Sub", scaler.mean_)
        if scaler.with_std:
            written.add("Div", scaler.scale_)
    elif isinstance(scaler, MinMaxScaler) and not scaler.clip:
        written.add("Mul", scaler.scale_)
        written.add("Add", scaler.min_)
    elif scaler not in ("passthrough", None):
        raise UnsupportedError(
            f"from_sklearn takes StandardScaler and MinMaxScaler (without clip) ahead of a perceptron, not "
            f"{type(scaler).__name__}. {ANYTHING_ELSE}"
        )


def _perceptron(written: _Written, perceptron: Any) -> None:
    """Dense layers and their activations; the last one is the head."""
    weights, biases = list(perceptron.coefs_), list(perceptron.intercepts_)
    head = perceptron.out_activation_
    if head == "logistic" and biases[-1].size == 1:
        # one unit speaks for the second class, and as much against the first
        weights[-1], biases[-1] = (np.concatenate([-last, last], axis=-1) for last in (weights[-1], biases[-1]))
    functions = [perceptron.activation] * (len(weights) - 1) + [head]
    for number, (weight, bias, function) in enumerate(zip(weights, biases, functions, strict=True)):
        written.add("Gemm", weight, bias, name=f"dense_{number}")
        if function != "identity":
            written.add(ACTIVATIONS[function])
