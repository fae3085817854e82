"""Activation functions in NumPy: value and derivative."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lrpfast.model.layers import Activation, Array
from lrpfast.rules import Gradient, Pass, ReLUBetaSmooth, ReLUDeconvNet, ReLUGuidedBackprop, Rule


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
    return result.astype(x.dtype, copy=False)


def derivative(layer: Activation, x: Array) -> Array:
    """``f'(x)``; at a kink the one that PyTorch's convention gives (0 for ReLU at 0)."""
    result: npt.NDArray[Any]
    match layer.function:
        case "relu":
            result = x > 0
        case "leaky_relu":
            result = np.where(x > 0, 1, layer.slope.astype(x.dtype))
        case "clip":
            result = (x >= layer.low) & (x <= layer.high)
        case "sigmoid":
            result = sigmoid(x) * (1 - sigmoid(x))
        case "tanh":
            result = 1 - np.tanh(x) ** 2
        case "elu":
            result = np.where(x > 0, 1, layer.alpha * np.exp(np.minimum(x, 0)))
        case "hard_sigmoid":
            inner = layer.alpha * x + layer.beta
            result = np.where((inner > 0) & (inner < 1), layer.alpha, 0)
        case "hard_swish":
            result = np.where(x <= -3, 0, np.where(x >= 3, 1, x / 3 + 0.5))
    return result.astype(x.dtype, copy=False)


def sigmoid(x: Array) -> Array:
    """Logistic function that does not overflow."""
    small = np.exp(-np.abs(x))
    result: Array = np.where(x >= 0, 1, small) / (1 + small)
    return result.astype(x.dtype, copy=False)


def relevance(rule: Rule, layer: Activation, x: Array, r: Array) -> Array:
    """What an activation hands down of `r` (N * T, ...) when its argument was `x` of the same shape."""
    match rule:
        case Pass():
            return r
        case Gradient():
            return r * derivative(layer, x)
        case ReLUDeconvNet():
            return np.maximum(r, 0)
        case ReLUGuidedBackprop():
            return np.maximum(r, 0) * (x > 0)
        case ReLUBetaSmooth(beta=beta):
            return r * sigmoid(x * x.dtype.type(beta))
        case _:
            raise NotImplementedError(f"{rule} for activations")
