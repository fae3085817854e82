"""Activation functions in NumPy: derivatives, and relevance."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from lrpfast.model.functions import gelu_inner, normal, sigmoid, softplus
from lrpfast.model.layers import Activation, Array
from lrpfast.rules import Gradient, Pass, ReLUBetaSmooth, ReLUDeconvNet, ReLUGuidedBackprop, Rule


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
        case "softplus":
            result = sigmoid(x)
        case "softsign":
            result = 1 / (1 + np.abs(x)) ** 2
        case "silu":
            result = sigmoid(x) * (1 + x * (1 - sigmoid(x)))
        case "mish":
            t = np.tanh(softplus(x))
            result = t + x * (1 - t**2) * sigmoid(x)
        case "gelu":
            result = normal(x) + x * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
        case "gelu_tanh":
            t = np.tanh(gelu_inner(x))
            result = (1 + t) / 2 + x / 2 * (1 - t**2) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
        case "erf":
            result = 2 / math.sqrt(math.pi) * np.exp(-(x**2))
        case "exp":
            result = np.exp(x)
        case "log":
            result = 1 / x
        case "square":
            result = 2 * x
        case "sqrt":
            result = 1 / (2 * np.sqrt(x))
        case "power":
            result = layer.alpha * x ** (layer.alpha - 1)
        case "reciprocal":
            result = -1 / x**2
        case "abs":
            result = np.sign(x)
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
