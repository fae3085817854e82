"""Elementwise functions."""

from __future__ import annotations

import math
from typing import cast

import numpy as np

from lrpfast.model.layers import Activation, ActivationName, Layer
from lrpfast.model.onnx_import.registry import Operation, importer

PLAIN: dict[str, ActivationName] = {
    "Relu": "relu",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "HardSwish": "hard_swish",
}


@importer(*PLAIN)
def plain(op: Operation) -> list[Layer]:
    """Functions without parameters."""
    return [Activation(PLAIN[op.node.op_type])]


@importer("LeakyRelu")
def leaky_relu(op: Operation) -> list[Layer]:
    """One slope for all elements."""
    return [Activation("leaky_relu", slope=np.asarray(op.attribute("alpha", 0.01), np.float32))]


@importer("PRelu")
def prelu(op: Operation) -> list[Layer]:
    """A trained slope."""
    return [Activation("leaky_relu", slope=op.per_sample(op.required(1)))]


@importer("Clip")
def clip(op: Operation) -> list[Layer]:
    """Bounds as attributes (before operator set 11) or as inputs; a lower bound of zero alone is a ReLU."""
    low, high = _bound(op, "min", 1, -math.inf), _bound(op, "max", 2, math.inf)
    largest = float(np.finfo(np.float32).max)  # how older files write "no bound"
    if low == 0 and high >= largest:
        return [Activation("relu")]
    return [Activation("clip", low=low, high=high)]


def _bound(op: Operation, name: str, index: int, default: float) -> float:
    bound = op.setting(name, index, default)
    return float(bound[0] if isinstance(bound, tuple) else bound)


@importer("Elu")
def elu(op: Operation) -> list[Layer]:
    """Exponential below zero."""
    return [Activation("elu", alpha=cast(float, op.attribute("alpha", 1.0)))]


@importer("HardSigmoid")
def hard_sigmoid(op: Operation) -> list[Layer]:
    """Piecewise linear sigmoid."""
    return [Activation("hard_sigmoid", alpha=op.attribute("alpha", 0.2), beta=op.attribute("beta", 0.5))]
