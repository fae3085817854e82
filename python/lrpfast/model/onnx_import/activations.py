"""Elementwise functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np

from lrpfast.errors import UnsupportedError
from lrpfast.model.layers import Activation, ActivationName, Affine, Gate, Layer
from lrpfast.model.onnx_import.registry import Join, Operation, importer

PLAIN: dict[str, ActivationName] = {
    "Relu": "relu",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "HardSwish": "hard_swish",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Mish": "mish",
    "Erf": "erf",
    "Exp": "exp",
    "Sqrt": "sqrt",
    "Reciprocal": "reciprocal",
    "Abs": "abs",
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
    return [bounded(_bound(op, "min", 1, -math.inf), _bound(op, "max", 2, math.inf))]


def bounded(low: float = -math.inf, high: float = math.inf) -> Activation:
    """The function with this floor and this ceiling."""
    largest = float(np.finfo(np.float32).max)  # how older files write "no bound"
    return Activation("relu") if low == 0 and high >= largest else Activation("clip", low=low, high=high)


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


@importer("Selu")
def selu(op: Operation) -> list[Layer]:
    """Elu, scaled."""
    alpha, gamma = op.attribute("alpha", 1.67326319217681884765625), op.attribute("gamma", 1.05070102214813232421875)
    return [Activation("elu", alpha=alpha), _scale(gamma)]


@importer("Celu")
def celu(op: Operation) -> list[Layer]:
    """Elu of another width."""
    alpha = op.attribute("alpha", 1.0)
    return [_scale(1 / alpha), Activation("elu", alpha=1.0), _scale(alpha)]


@importer("Gelu")
def gelu(op: Operation) -> list[Layer]:
    """With the error function, or approximated by a hyperbolic tangent."""
    return [Activation("gelu_tanh" if op.attribute("approximate", "none") == "tanh" else "gelu")]


@importer("Pow")
def power(op: Operation) -> Sequence[Layer] | Join:
    """The square, and powers that are roots and inverses of it."""
    exponent = float(op.required(1).reshape(-1)[0]) if op.is_constant(1) and op.required(1).size == 1 else math.nan
    if exponent == 2:  # a value that is its own gate
        return Join(((0, ()), (0, ())), (Gate(),))
    layers = POWERS.get(exponent)
    if layers is None or op.is_constant(0):
        raise UnsupportedError(f"it raises to the power {exponent:g}; lrpfast takes 2, 1, 1/2, -1/2 and -1")
    return layers


def _scale(factor: float) -> Affine:
    return Affine(np.asarray(factor, np.float32), np.zeros((), np.float32))


POWERS: dict[float, list[Layer]] = {
    1.0: [],
    0.5: [Activation("sqrt")],
    -0.5: [Activation("sqrt"), Activation("reciprocal")],
    -1.0: [Activation("reciprocal")],
}
