"""Relevance rules as in the textbooks, on explicit matrices, in float64.

`linear` turns a layer into the matrix that it stands for, tap by tap; each rule then is its formula, letter by
letter. Slow on purpose, and independent of the package but for the parameters of layers and rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lrpfast import rules
from lrpfast.model.layers import (
    Affine,
    AveragePool,
    Convolution,
    Dense,
    Interpolation,
    Layer,
    Shape,
    Sum,
    TransposedConvolution,
    Window,
)

Doubles: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Linear:
    """``matrix @ x + bias`` for one flattened sample; `seen` marks the inputs that each output reads."""

    matrix: Doubles
    bias: Doubles
    seen: Doubles


def linear(layer: Layer, shape: Shape, branches: int = 1) -> Linear:
    """The matrix of a layer for one sample of `shape`; a sum reads its branches one after the other."""
    size = int(np.prod(shape))
    match layer:
        case Convolution():
            return convolution(layer, shape)
        case TransposedConvolution():
            return transposed(layer, shape)
        case Interpolation():
            return interpolation(layer, shape)
        case AveragePool():
            return average(layer, shape)
        case Dense():
            return Linear(layer.weight.astype(np.float64), bias_of(layer, 1), np.ones(layer.weight.shape))
        case Affine():
            scale, shift = (np.broadcast_to(part.astype(np.float64), shape) for part in (layer.scale, layer.shift))
            return Linear(np.diag(scale.ravel()), shift.ravel(), np.eye(size))
        case Sum():
            return Linear(np.tile(np.eye(size), branches), np.zeros(size), np.tile(np.eye(size), branches))
        case _:
            raise AssertionError(f"{layer} is not linear")


def bias_of(layer: Convolution | Dense, places: int) -> Doubles:
    """The bias of every output, each channel at `places` places."""
    bias = np.zeros(len(layer.weight)) if layer.bias is None else layer.bias.astype(np.float64)
    return np.repeat(bias, places)


def extents(window: Window, spatial: Shape) -> list[tuple[int, int, int]]:
    """Number of windows, padding before and declared padding after, per axis, by ONNX's definitions."""
    found = []
    for size, kernel, stride, dilation, pads in zip(
        spatial, window.kernel, window.strides, window.dilations, window.pads, strict=True
    ):
        extent = dilation * (kernel - 1) + 1
        if window.auto_pad:
            count = (size + stride - 1) // stride
            total = max(0, (count - 1) * stride + extent - size)
            before = total // 2 if window.auto_pad == "upper" else (total + 1) // 2
            found.append((count, before, total - before))
            continue
        starts = range(-pads[0], size + pads[1] - extent + 1, stride)
        count = len(starts)
        if window.ceil and starts[-1] + extent < size + pads[1] and starts[-1] + stride < size:
            count += 1
        found.append((count, *pads))
    return found


def met(window: Window, spatial: Shape) -> Iterator[tuple[Shape, Shape, Shape, bool]]:
    """Every output position, tap and input position that meet, and whether the latter lies in the map."""
    sizes = extents(window, spatial)
    for out in product(*(range(count) for count, _, _ in sizes)):
        for tap in product(*map(range, window.kernel)):
            place = tuple(
                o * stride + t * dilation - before
                for o, t, stride, dilation, (_, before, _) in zip(
                    out, tap, window.strides, window.dilations, sizes, strict=True
                )
            )
            yield out, tap, place, all(0 <= p < size for p, size in zip(place, spatial, strict=True))


def convolution(layer: Convolution, shape: Shape) -> Linear:
    """The matrix of a convolution."""
    spatial = shape[1:]
    counts = tuple(count for count, _, _ in extents(layer.window, spatial))
    outputs, per_group = layer.weight.shape[0] // layer.groups, layer.weight.shape[1]
    matrix = np.zeros((layer.weight.shape[0], *counts, *shape))
    seen = np.zeros_like(matrix)
    for out, tap, place, inside in met(layer.window, spatial):
        if not inside:
            continue
        for group, o, i in product(range(layer.groups), range(outputs), range(per_group)):
            unit = (group * outputs + o, *out, group * per_group + i, *place)
            matrix[unit] = layer.weight[(group * outputs + o, i, *tap)]
            seen[unit] = 1
    places = int(np.prod(counts))
    flat = (layer.weight.shape[0] * places, int(np.prod(shape)))
    return Linear(matrix.reshape(flat), bias_of(layer, places), seen.reshape(flat))


def transposed(layer: TransposedConvolution, shape: Shape) -> Linear:
    """The matrix of the adjoint of a convolution: every element adds a kernel to its window, the crop is left out."""
    window, (inputs, *spatial) = layer.window, shape
    outputs, per_group = layer.weight.shape[1], inputs // layer.groups
    out = tuple(
        (size - 1) * stride + dilation * (kernel - 1) + 1 - before - after + extra
        for size, stride, dilation, kernel, (before, after), extra in zip(
            spatial, window.strides, window.dilations, window.kernel, window.pads, layer.extra, strict=True
        )
    )
    matrix = np.zeros((outputs * layer.groups, *out, *shape))
    seen = np.zeros_like(matrix)
    for where in product(*map(range, spatial)):
        for tap in product(*map(range, window.kernel)):
            place = tuple(
                w * stride + t * dilation - before
                for w, t, stride, dilation, (before, _) in zip(
                    where, tap, window.strides, window.dilations, window.pads, strict=True
                )
            )
            if not all(0 <= p < size for p, size in zip(place, out, strict=True)):
                continue
            for i, o in product(range(inputs), range(outputs)):
                unit = (i // per_group * outputs + o, *place, i, *where)
                matrix[unit] = layer.weight[(i, o, *tap)]
                seen[unit] = 1
    flat = (outputs * layer.groups * int(np.prod(out)), int(np.prod(shape)))
    bias = np.zeros(flat[0]) if layer.bias is None else np.repeat(layer.bias.astype(np.float64), int(np.prod(out)))
    return Linear(matrix.reshape(flat), bias, seen.reshape(flat))


def interpolation(layer: Interpolation, shape: Shape) -> Linear:
    """The matrix of an interpolation: the product of those of its axes."""
    matrix = np.eye(shape[0])
    for sampling, size in zip(layer.samplings, shape[1:], strict=True):
        matrix = np.kron(matrix, np.eye(size) if sampling is None else sampling.matrix(size))
    return Linear(matrix, np.zeros(len(matrix)), (matrix != 0).astype(np.float64))


def average(layer: AveragePool, shape: Shape) -> Linear:
    """The matrix of an average pool: what hangs over the declared padding never counts."""
    spatial, rank = shape[1:], len(shape) - 1
    window = layer.window
    if 0 in window.kernel:
        window = Window(spatial, (1,) * rank, (1,) * rank, ((0, 0),) * rank)
    sizes = extents(window, spatial)
    one = np.zeros((*(count for count, _, _ in sizes), *spatial))
    counted = np.zeros(one.shape[:rank])
    for out, _, place, inside in met(window, spatial):
        declared = all(
            -before <= p < size + after for p, size, (_, before, after) in zip(place, spatial, sizes, strict=True)
        )
        counted[out] += declared if layer.count_include_pad else inside
        if inside:
            one[(*out, *place)] = 1
    one = (one / counted.reshape(*counted.shape, *(1,) * rank)).reshape(counted.size, -1)
    matrix = np.kron(np.eye(shape[0]), one)
    return Linear(np.asarray(matrix, np.float64), np.zeros(len(matrix)), (matrix != 0).astype(np.float64))


def stab(z: Doubles, epsilon: float) -> Doubles:
    """``z + epsilon sgn(z)`` with sgn(0) = 1."""
    return z + epsilon * np.where(z >= 0, 1.0, -1.0)


def quotient(r: Doubles, z: Doubles, epsilon: float) -> Doubles:
    """``r / stab(z)``, 0 where the denominator is 0."""
    below = stab(z, epsilon)
    return np.divide(r, below, out=np.zeros_like(below), where=below != 0)


def pos(v: Doubles) -> Doubles:
    """``v+``."""
    return np.maximum(v, 0.0)


def neg(v: Doubles) -> Doubles:
    """``v-``."""
    return np.minimum(v, 0.0)


def epsilon(m: Linear, x: Doubles, r: Doubles, rule: Any) -> Doubles:
    b = 0 * m.bias if getattr(rule, "zero_bias", False) else m.bias
    return np.asarray(x * (m.matrix.T @ quotient(r, m.matrix @ x + b, rule.stabilizer)))


def zplus(m: Linear, x: Doubles, r: Doubles, rule: Any) -> Doubles:
    w, b = m.matrix, 0 * m.bias if rule.zero_bias else m.bias
    s = quotient(r, pos(w) @ pos(x) + neg(w) @ neg(x) + pos(b), rule.stabilizer)
    return pos(x) * (pos(w).T @ s) + neg(x) * (neg(w).T @ s)


def alpha_beta(m: Linear, x: Doubles, r: Doubles, rule: Any) -> Doubles:
    w, b = m.matrix, 0 * m.bias if rule.zero_bias else m.bias
    s = quotient(r, pos(w) @ pos(x) + neg(w) @ neg(x) + pos(b), rule.stabilizer)
    t = quotient(r, neg(w) @ pos(x) + pos(w) @ neg(x) + neg(b), rule.stabilizer)
    spoken_for = pos(x) * (pos(w).T @ s) + neg(x) * (neg(w).T @ s)
    spoken_against = pos(x) * (neg(w).T @ t) + neg(x) * (pos(w).T @ t)
    return np.asarray(rule.alpha * spoken_for - rule.beta * spoken_against)


def gamma(m: Linear, x: Doubles, r: Doubles, rule: Any) -> Doubles:
    w, b, g = m.matrix, 0 * m.bias if rule.zero_bias else m.bias, rule.gamma
    favoured, opposed = w + g * pos(w), w + g * neg(w)
    z = w @ x + m.bias  # the gate looks at the layer as it is
    z_positive = favoured @ pos(x) + opposed @ neg(x) + b + g * pos(b)
    z_negative = opposed @ pos(x) + favoured @ neg(x) + b + g * neg(b)
    s = np.where(z > 0, quotient(r, z_positive, rule.stabilizer), 0.0)
    t = np.where(z < 0, quotient(r, z_negative, rule.stabilizer), 0.0)
    return np.asarray(pos(x) * (favoured.T @ s + opposed.T @ t) + neg(x) * (opposed.T @ s + favoured.T @ t))


def zbox(m: Linear, x: Doubles, r: Doubles, rule: Any, shape: Shape) -> Doubles:
    w = m.matrix
    low, high = (np.broadcast_to(np.asarray(bound, np.float64), shape).ravel() for bound in (rule.low, rule.high))
    s = quotient(r, w @ x - pos(w) @ low - neg(w) @ high, rule.stabilizer)
    return x * (w.T @ s) - low * (pos(w).T @ s) - high * (neg(w).T @ s)


def magnitude(m: Linear, x: Doubles, r: Doubles, rule: Any) -> Doubles:
    return np.asarray(np.abs(x) * (m.matrix.T @ quotient(r, m.matrix @ np.abs(x), rule.stabilizer)))


def wsquare(m: Linear, x: Doubles, r: Doubles, rule: Any) -> Doubles:
    squares, b = m.matrix**2, 0 * m.bias if rule.zero_bias else m.bias
    return squares.T @ quotient(r, squares @ np.ones_like(x) + b**2, rule.stabilizer)


def flat(m: Linear, x: Doubles, r: Doubles, rule: Any) -> Doubles:
    return m.seen.T @ quotient(r, m.seen @ np.ones_like(x), rule.stabilizer)


FORMULAS: dict[type[rules.Rule], Callable[[Linear, Doubles, Doubles, Any], Doubles]] = {
    rules.Epsilon: epsilon,
    rules.Norm: epsilon,
    rules.Magnitude: magnitude,
    rules.ZPlus: zplus,
    rules.AlphaBeta: alpha_beta,
    rules.Gamma: gamma,
    rules.WSquare: wsquare,
    rules.Flat: flat,
    rules.Gradient: lambda m, x, r, rule: m.matrix.T @ r,
    rules.Pass: lambda m, x, r, rule: r,
}


def relevance(rule: rules.Rule, m: Linear, x: npt.ArrayLike, r: npt.ArrayLike, shape: Shape) -> Doubles:
    """Relevance of each sample of `x` (N, inputs) for `r` (N, outputs), both flat; `shape` is that of a sample."""
    pairs = zip(np.asarray(x, np.float64), np.asarray(r, np.float64), strict=True)
    if isinstance(rule, rules.ZBox):
        return np.stack([zbox(m, sample, below, rule, shape) for sample, below in pairs])
    formula = FORMULAS[type(rule)]
    return np.stack([formula(m, sample, below, rule) for sample, below in pairs])
