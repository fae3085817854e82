"""Elementwise functions."""

from __future__ import annotations

import math
from typing import cast

import numpy as np

from lrpfast.errors import UnsupportedError
from lrpfast.model.layers import Activation, ActivationName, Affine, Layer
from lrpfast.model.onnx_import.registry import Operation, importer

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
    "Log": "log",
    "Sqrt": "sqrt",
    "Reciprocal": "reciprocal",
    "Abs": "abs",
}


@importer(*PLAIN)
def plain(op: Operation) -> list[Layer]:
    """A function of each element, without parameters."""
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
    return [Activation("elu", alpha=alpha), scale(gamma)]


@importer("Celu")
def celu(op: Operation) -> list[Layer]:
    """Elu of another width."""
    alpha = op.attribute("alpha", 1.0)
    return [scale(1 / alpha), Activation("elu", alpha=1.0), scale(alpha)]


@importer("Gelu")
def gelu(op: Operation) -> list[Layer]:
    """With the error function, or approximated by a hyperbolic tangent."""
    return [Activation("gelu_tanh" if op.attribute("approximate", "none") == "tanh" else "gelu")]


@importer("Pow")
def power(op: Operation) -> list[Layer]:
    """A constant exponent, or a constant to the power of an activation."""
    if op.is_constant(0):
        base = _number(op, 0)
        if base <= 0:
            raise UnsupportedError(f"it raises {base:g} to a power; the base must be above 0")
        return [scale(math.log(base)), Activation("exp")]
    if not op.is_constant(1):
        raise UnsupportedError("it raises an activation to the power of another; make the exponent a constant")
    return raised(_number(op, 1))


def raised(exponent: float) -> list[Layer]:
    """What raises to a power."""
    if exponent == 1:
        return []
    return [POWERS.get(exponent, Activation("power", alpha=exponent))]


def _number(op: Operation, index: int) -> float:
    constant = op.required(index)
    if constant.size != 1:
        raise UnsupportedError(f"its constant of shape {constant.shape} differs from element to element; use a number")
    return float(constant.reshape(()))


def scale(factor: float) -> Affine:
    """A product with a number."""
    return Affine(np.asarray(factor, np.float32), np.zeros((), np.float32))


POWERS = {2.0: Activation("square"), 0.5: Activation("sqrt"), -1.0: Activation("reciprocal")}
