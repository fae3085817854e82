"""Values of activation functions, in any float type."""

from __future__ import annotations

import math

import numpy as np

from lrpfast.model.layers import Activation, Array


def value(layer: Activation, x: Array) -> Array:
    """``f(x)``."""
    match layer.function:
        case "relu":
            result = np.maximum(x, 0)
        case "leaky_relu":
            result = np.where(x >= 0, x, layer.slope.astype(x.dtype) * x)
        case "clip":
            result = np.clip(x, layer.low, layer.high)
        case "sigmoid":
            result = sigmoid(x)
        case "tanh":
            result = np.tanh(x)
        case "elu":
            result = np.where(x >= 0, x, layer.alpha * np.expm1(np.minimum(x, 0)))
        case "hard_sigmoid":
            result = np.clip(layer.alpha * x + layer.beta, 0, 1)
        case "hard_swish":
            result = x * np.clip(x / 6 + 0.5, 0, 1)
        case "softplus":
            result = softplus(x)
        case "softsign":
            result = x / (1 + np.abs(x))
        case "silu":
            result = x * sigmoid(x)
        case "mish":
            result = x * np.tanh(softplus(x))
        case "gelu":
            result = x * normal(x)
        case "gelu_tanh":
            result = x * (1 + np.tanh(gelu_inner(x))) / 2
        case "erf":
            result = erf(x)
        case "exp":
            result = np.exp(x)
        case "log":
            result = np.log(x)
        case "square":
            result = x * x
        case "sqrt":
            result = np.sqrt(x)
        case "power":
            result = x**layer.alpha
        case "reciprocal":
            result = 1 / x
        case "abs":
            result = np.abs(x)
    return result.astype(x.dtype, copy=False)


def sigmoid(x: Array) -> Array:
    """Logistic function that does not overflow."""
    small = np.exp(-np.abs(x))
    result: Array = np.where(x >= 0, 1, small) / (1 + small)
    return result.astype(x.dtype, copy=False)


def softplus(x: Array) -> Array:
    """``log(1 + exp x)`` that does not overflow."""
    result: Array = np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
    return result


def normal(x: Array) -> Array:
    """Share of a normal distribution below x."""
    return (1 + erf(x / math.sqrt(2))) / 2


def gelu_inner(x: Array) -> Array:
    """What the other form of GELU takes the hyperbolic tangent of."""
    return math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)


def erf(x: Array) -> Array:
    """The error function, which NumPy lacks."""
    values = np.fromiter(map(math.erf, x.ravel().tolist()), np.float64, x.size)
    return values.reshape(x.shape).astype(x.dtype)
