"""The linear maps of layers, in NumPy: forward, adjoint and bias, for every modification of the weights.

Arrays are batch first: a (N, C, *spatial), z (N, C_out, *spatial_out).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any, Protocol

import numpy as np

from lrpfast.engine.routing import inside, padded
from lrpfast.model.layers import (
    Affine,
    Array,
    AveragePool,
    Convolution,
    Dense,
    Interpolation,
    Pads,
    Shape,
    TransposedConvolution,
    Window,
    fitted,
)
from lrpfast.rules.terms import WeightPart


class LinearMap(Protocol):
    """``W_t a`` without bias, its adjoint, and the bias, with weights modified as `part` says."""

    def forward(self, part: WeightPart, a: Array) -> Array: ...

    def adjoint(self, part: WeightPart, s: Array) -> Array: ...

    def bias(self, part: WeightPart) -> Array: ...


def modified(values: Array, part: WeightPart) -> Array:
    """The part of weights, bias or input that a term asks for."""
    if part == "squared":
        return np.square(values)
    if part == "ones":
        return np.ones_like(values)
    if part.positive == part.negative:
        return values if part.positive == 1 else values * values.dtype.type(part.positive)
    kind = values.dtype.type
    return kind(part.positive) * np.maximum(values, 0) + kind(part.negative) * np.minimum(values, 0)


def windows(a: Array, window: Window, out: Shape) -> Array:
    """View (N, C, *out, *kernel) of a padded map: every element that every window covers."""
    steps = a.strides[2:]
    moves = tuple(step * stride for step, stride in zip(steps, window.strides, strict=True))
    taps = tuple(step * dilation for step, dilation in zip(steps, window.dilations, strict=True))
    shape = (*a.shape[:2], *out, *window.kernel)
    return np.lib.stride_tricks.as_strided(a, shape, (*a.strides[:2], *moves, *taps), writeable=False)


def tap_slices(window: Window, out: Shape) -> Iterator[tuple[Shape, tuple[slice, ...]]]:
    """Each tap of the kernel with the part of the padded map that it meets, one element per window."""
    for tap in product(*map(range, window.kernel)):
        starts = [position * dilation for position, dilation in zip(tap, window.dilations, strict=True)]
        yield (
            tap,
            tuple(
                slice(start, start + (count - 1) * stride + 1, stride)
                for start, count, stride in zip(starts, out, window.strides, strict=True)
            ),
        )


class ConvolutionMap:
    """A convolution as one matrix product over the gathered windows."""

    def __init__(self, layer: Convolution, spatial: Shape, dtype: np.dtype) -> None:
        self.window, self.groups, self.spatial = layer.window, layer.groups, spatial
        self.pads = layer.window.pads_for(spatial)
        self.out = layer.window.output_size(spatial)
        self.weight = layer.weight.astype(dtype, copy=False)
        self._bias = np.zeros(len(self.weight), dtype) if layer.bias is None else layer.bias.astype(dtype, copy=False)

    def matrix(self, part: WeightPart) -> Array:
        """The weights as (groups, C_out / groups, C_in / groups * taps)."""
        outputs = self.weight.shape[0] // self.groups
        return modified(self.weight, part).reshape(self.groups, outputs, -1)

    def forward(self, part: WeightPart, a: Array) -> Array:
        batch, rank = len(a), len(self.spatial)
        gathered = windows(padded(a, self.pads), self.window, self.out)
        columns = np.moveaxis(gathered, range(2 + rank, 2 + 2 * rank), range(2, 2 + rank))
        columns = columns.reshape(batch, self.groups, -1, math.prod(self.out))
        return (self.matrix(part) @ columns).reshape(batch, -1, *self.out)

    def adjoint(self, part: WeightPart, s: Array) -> Array:
        batch, channels = len(s), self.weight.shape[1] * self.groups
        s = s.reshape(batch, self.groups, -1, math.prod(self.out))
        columns = np.swapaxes(self.matrix(part), 1, 2) @ s
        columns = columns.reshape(batch, channels, *self.window.kernel, *self.out)
        return scattered(columns, self.window, self.pads, self.spatial)

    def bias(self, part: WeightPart) -> Array:
        return modified(self._bias, part).reshape(-1, *(1,) * len(self.spatial))


class TransposedMap:
    """The adjoint of a convolution."""

    def __init__(self, layer: TransposedConvolution, spatial: Shape, dtype: np.dtype) -> None:
        out = layer.output_shape((len(layer.weight), *spatial))[1:]
        self.convolution = ConvolutionMap(Convolution(layer.weight, None, layer.window, layer.groups), out, dtype)
        self._bias = np.zeros(layer.outputs, dtype) if layer.bias is None else layer.bias.astype(dtype, copy=False)

    def forward(self, part: WeightPart, a: Array) -> Array:
        return self.convolution.adjoint(part, a)

    def adjoint(self, part: WeightPart, s: Array) -> Array:
        return self.convolution.forward(part, s)

    def bias(self, part: WeightPart) -> Array:
        return modified(self._bias, part).reshape(-1, *(1,) * len(self.convolution.spatial))


def scattered(columns: Array, window: Window, pads: Pads, spatial: Shape) -> Array:
    """Sum of what each window (N, C, *kernel, *out) says of each element, without the padding."""
    rank = len(spatial)
    out = columns.shape[-rank:]
    whole = tuple(size + max(before, 0) + max(after, 0) for size, (before, after) in zip(spatial, pads, strict=True))
    total = np.zeros((*columns.shape[:2], *whole), columns.dtype)
    begin = tuple(slice(max(-before, 0), None) for before, _ in pads)  # cropped elements are never met
    for tap, where in tap_slices(window, out):
        whole_tap: tuple[Any, ...] = (slice(None), slice(None), *tap)
        total[inside(*begin)][inside(*where)] += columns[whole_tap]
    inner = tuple(slice(max(before, 0), max(before, 0) + size) for size, (before, _) in zip(spatial, pads, strict=True))
    within: Array = total[inside(*inner)]
    return within


class DenseMap:
    """A matrix product."""

    def __init__(self, layer: Dense, dtype: np.dtype) -> None:
        self.weight = layer.weight.astype(dtype, copy=False)
        self._bias = np.zeros(len(self.weight), dtype) if layer.bias is None else layer.bias.astype(dtype, copy=False)

    def forward(self, part: WeightPart, a: Array) -> Array:
        return a @ modified(self.weight, part).T

    def adjoint(self, part: WeightPart, s: Array) -> Array:
        return s @ modified(self.weight, part)

    def bias(self, part: WeightPart) -> Array:
        return modified(self._bias, part)


class AffineMap:
    """A diagonal matrix, whose bias is the shift."""

    def __init__(self, layer: Affine, dtype: np.dtype) -> None:
        self.scale = layer.scale.astype(dtype, copy=False)
        self.shift = layer.shift.astype(dtype, copy=False)

    def forward(self, part: WeightPart, a: Array) -> Array:
        return modified(self.scale, part) * a

    def adjoint(self, part: WeightPart, s: Array) -> Array:
        return modified(self.scale, part) * s

    def bias(self, part: WeightPart) -> Array:
        return modified(self.shift, part)


class AverageMap:
    """The mean of each window; its weights are positive, so no rule changes them."""

    def __init__(self, layer: AveragePool, spatial: Shape, dtype: np.dtype) -> None:
        self.window, self.spatial = fitted(layer.window, spatial), spatial
        self.pads = self.window.pads_for(spatial)
        self.out = self.window.output_size(spatial)
        self.counts = window_counts(self.window, spatial, layer.count_include_pad).astype(dtype)

    def forward(self, part: WeightPart, a: Array) -> Array:
        rank = len(self.spatial)
        total: Array = windows(padded(a, self.pads), self.window, self.out).sum(axis=tuple(range(-rank, 0)))
        average: Array = total / self.counts
        return average

    def adjoint(self, part: WeightPart, s: Array) -> Array:
        shares = (s / self.counts).reshape(*s.shape[:2], *(1,) * len(self.spatial), *self.out)
        columns = np.broadcast_to(shares, (*s.shape[:2], *self.window.kernel, *self.out))
        return scattered(columns, self.window, self.pads, self.spatial)

    def bias(self, part: WeightPart) -> Array:
        return np.zeros((), self.counts.dtype)


class InterpolationMap:
    """A matrix along each spatial axis; as one product their entries are the weights."""

    def __init__(self, layer: Interpolation, spatial: Shape, dtype: np.dtype) -> None:
        self.matrices = [
            None if sampling is None else sampling.matrix(size).astype(dtype)
            for sampling, size in zip(layer.samplings, spatial, strict=True)
        ]

    def forward(self, part: WeightPart, a: Array) -> Array:
        for axis, matrix in enumerate(self.matrices, 2):
            if matrix is not None:
                a = np.moveaxis(np.moveaxis(a, axis, -1) @ matrix.T, -1, axis)
        return a

    def adjoint(self, part: WeightPart, s: Array) -> Array:
        for axis, matrix in enumerate(self.matrices, 2):
            if matrix is not None:
                s = np.moveaxis(np.moveaxis(s, axis, -1) @ matrix, -1, axis)
        return s

    def bias(self, part: WeightPart) -> Array:
        return np.zeros(())


def window_counts(window: Window, spatial: Shape, include_pad: bool) -> Array:
    """Number of elements (*out) that each average divides by; what hangs over the padding never counts."""
    pads = window.pads_for(spatial)
    declared = pads if window.auto_pad else window.pads
    ones: Array = np.ones((1, 1, *spatial))
    if include_pad:
        ones = padded(ones, declared, 1.0)
        rest = [(before - b, after - a) for (before, after), (b, a) in zip(pads, declared, strict=True)]
        ones = padded(ones, tuple(rest))
    else:
        ones = padded(ones, pads)
    out = window.output_size(spatial)
    counts: Array = windows(ones, window, out).sum(axis=tuple(range(-len(spatial), 0)))[0, 0]
    return counts


class SumMap:
    """The sum of branches, stacked along the axis after the batch: a (N, branches, ...)."""

    def __init__(self, branches: int) -> None:
        self.branches = branches

    def forward(self, part: WeightPart, a: Array) -> Array:
        total: Array = a.sum(axis=1)
        return total

    def adjoint(self, part: WeightPart, s: Array) -> Array:
        return np.repeat(s[:, np.newaxis], self.branches, axis=1)

    def bias(self, part: WeightPart) -> Array:
        return np.zeros(())
