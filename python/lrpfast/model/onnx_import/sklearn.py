"""Operators of the domain ai.onnx.ml that scikit-learn's scalers and linear models become."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import onnx

from lrpfast.errors import ModelError, UnsupportedError
from lrpfast.model.layers import (
    Activation,
    Affine,
    Array,
    AveragePool,
    Dense,
    Gate,
    Gather,
    Layer,
    MaxPool,
    Reshape,
    whole_map,
)
from lrpfast.model.onnx_import.activations import bounded
from lrpfast.model.onnx_import.logic import step
from lrpfast.model.onnx_import.registry import Join, Operation, importer, listed

DOMAIN = "ai.onnx.ml"

#: functions at the end of a linear model, and the operators that compute the same
TRANSFORMS = {"LOGISTIC": "Sigmoid", "SOFTMAX": "Softmax"}

#: the smallest divisor: what is zero stays zero
SMALLEST = float(np.finfo(np.float32).tiny)


def without_transforms(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """The nodes, with the functions at the end of linear models as nodes of their own, as other models have them."""
    for node in nodes:
        names = {attribute.name: attribute.s.decode(errors="replace") for attribute in node.attribute}
        function = TRANSFORMS.get(names.get("post_transform", ""))
        if node.domain != DOMAIN or function is None:
            yield node
            continue
        linear = onnx.NodeProto()
        linear.CopyFrom(node)
        scores, linear.output[-1] = node.output[-1], f"{node.output[-1]}#scores"
        kept = [attribute for attribute in node.attribute if attribute.name != "post_transform"]
        del linear.attribute[:]
        linear.attribute.extend(kept)
        yield linear
        yield onnx.helper.make_node(function, [linear.output[-1]], [scores], f"{node.name or scores}#{function}")


@importer(f"{DOMAIN}.Scaler")
def scaler(op: Operation) -> list[Layer]:
    """``(x - offset) scale``."""
    offset, scale = (np.asarray(op.attribute(name), np.float64) for name in ("offset", "scale"))
    return [Affine(op.per_sample(scale), op.per_sample(-offset * scale))]


@importer(f"{DOMAIN}.LinearRegressor")
def linear_regressor(op: Operation) -> list[Layer]:
    """A row of coefficients for each target."""
    return [_linear(op, op.attribute("targets", 1))]


@importer(f"{DOMAIN}.LinearClassifier")
def linear_classifier(op: Operation) -> list[Layer]:
    """A row of coefficients for each class."""
    if op.position == 0:
        raise UnsupportedError("its first output names a class; use the second, which holds the scores")
    return [_linear(op, len(op.attribute("classlabels_ints") or op.attribute("classlabels_strings", ())))]


def _linear(op: Operation, outputs: int) -> Dense:
    transform = op.attribute("post_transform", "NONE")
    if transform != "NONE":
        raise UnsupportedError(f"its scores pass '{transform}'; lrpfast takes NONE, {' and '.join(TRANSFORMS)}")
    coefficients, size = _floats(op, "coefficients"), op.sample_shape[0]
    if size is None or coefficients.size != outputs * size:
        raise ModelError(f"its {coefficients.size} coefficients are not {outputs} rows for samples {op.sample_shape}")
    intercepts = _floats(op, "intercepts")
    return Dense(coefficients.reshape(outputs, size), intercepts if intercepts.size else None)


def _floats(op: Operation, name: str) -> Array:
    array: Array = np.asarray(op.attribute(name, ()), np.float32)
    return array


@importer(f"{DOMAIN}.Normalizer")
def normalizer(op: Operation) -> list[Layer | Join]:
    """A vector divided by its norm, or by its largest element: a signal and its gate."""
    size = op.sample_shape[0] if len(op.sample_shape) == 1 else None
    if size is None:
        raise UnsupportedError(f"it takes vectors of fixed size, not samples of shape {op.sample_shape}")
    times = Affine(np.asarray(size, np.float32), np.zeros((), np.float32))
    mean = (Reshape((1, size)), AveragePool(whole_map(1)), times)
    measures: dict[str, tuple[Layer, ...]] = {
        "L1": (Activation("abs"), *mean, bounded(low=SMALLEST)),
        "L2": (Activation("square"), *mean, Activation("sqrt"), bounded(low=SMALLEST)),
        "MAX": (Reshape((1, size)), MaxPool(whole_map(1))),
    }
    measure = measures[op.attribute("norm", "MAX")]
    gate = (*measure, Activation("reciprocal"), Gather(1, (0,) * listed(size)), Reshape((size,)))
    return [Join(((0, ()), (0, gate)), Gate())]


@importer(f"{DOMAIN}.ArrayFeatureExtractor")
def array_feature_extractor(op: Operation) -> list[Layer]:
    """Some features, by their numbers."""
    places, size = op.input(1), op.sample_shape[-1] if op.sample_shape else None
    if op.is_constant(0) or places is None or places.constant is None or size is None:
        raise UnsupportedError("it looks up what is computed; pick features of a sample by constant numbers")
    return [Gather(len(op.sample_shape) - 1, tuple(int(place) % size for place in places.constant.ravel()))]


@importer(f"{DOMAIN}.Imputer")
def imputer(op: Operation) -> list[Layer]:
    """Nothing: an input that is explained has no gaps."""
    gap = op.attribute("replaced_value_float", 0.0)
    if not np.isnan(gap):
        raise UnsupportedError(f"it takes {gap:g} for a gap; lrpfast takes NaN, and explains inputs without gaps")
    return []


@importer(f"{DOMAIN}.Binarizer")
def binarizer(op: Operation) -> list[Layer]:
    """1 above a threshold."""
    return [step(op.attribute("threshold", 0.0))]
