"""Whether a layer fits the values that it reads; what makes sense of a file is decided here, before any arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lrpfast.errors import ModelError
from lrpfast.model.layers import (
    Activation,
    Affine,
    Array,
    AveragePool,
    Concat,
    Convolution,
    Dense,
    Gate,
    Gather,
    Interpolation,
    Layer,
    MaxPool,
    Moves,
    Nearest,
    Pad,
    Reshape,
    Shape,
    Sum,
    Transpose,
    TransposedConvolution,
    Window,
)
from lrpfast.model.sampling import Sampling

LARGEST = 2**31 - 1  # elements of a value
FARTHEST = 2**24  # what windows may span, skip or pad, in elements of an axis
MATRIX = 2**27  # elements of the matrix that interpolates an axis


def shape_after(layer: Layer, inputs: Sequence[Shape]) -> Shape:
    """Shape of what a layer makes of samples of these shapes; ModelError if it does not fit them."""
    reason = misfit(layer, inputs)
    if not reason:
        shape = layer.output_shape(*inputs)
        if math.prod(map(abs, shape)) <= LARGEST:
            return shape
        reason = f"makes a value of shape {shape}, which is larger than any memory"
    raise ModelError(reason)


def misfit(layer: Layer, inputs: Sequence[Shape]) -> str:
    """What is wrong with the shapes that a layer reads, as the rest of a sentence; empty if they fit."""
    listing = " and ".join(map(str, inputs))
    return "" if _fits(layer, inputs) else f"does not fit samples of shape {listing}"


def _fits(layer: Layer, inputs: Sequence[Shape]) -> bool:
    first, rank = inputs[0], len(inputs[0])
    if len(inputs) > 1 and not isinstance(layer, (Concat, Gate, Sum)):
        return False
    match layer:
        case Convolution(weight=weight, window=window, groups=groups):
            return rank == weight.ndim - 1 and first[0] == weight.shape[1] * groups and _is_near(window)
        case TransposedConvolution(weight=weight, window=window):
            return rank == weight.ndim - 1 and first[0] == len(weight) and _is_near(window)
        case Dense(weight=weight):
            return first == weight.shape[1:]
        case Affine(scale=scale, shift=shift):
            return _broadcasts(scale, first) and _broadcasts(shift, first)
        case Activation(slope=slope):
            return _broadcasts(slope, first)
        case MaxPool(window=window) | AveragePool(window=window):
            return rank == len(window.kernel) + 1 > 1 and _is_near(window)
        case Interpolation(samplings=samplings):
            return rank == len(samplings) + 1 and all(map(_is_resized, samplings, first[1:]))
        case Nearest(samplings=samplings):
            return rank == len(samplings) and all(map(_is_stretched, samplings, first))
        case Gate():
            return len(inputs) == 2 and inputs[0] == inputs[1]
        case Sum():
            return len(set(inputs)) == 1
        case Concat(axis=axis):
            return 0 <= axis < rank and len({(*shape[:axis], *shape[axis + 1 :]) for shape in inputs}) == 1
        case Reshape(shape=shape):
            return _holds(shape, math.prod(first))
        case Transpose(permutation=permutation):
            return sorted(permutation) == list(range(rank))
        case Pad(pads=pads):
            return rank == len(pads)
        case Gather(axis=axis):
            return 0 <= axis < rank
        case Moves(layers=layers):
            return _all_fit(layers, first)
    return True


def _all_fit(layers: Sequence[Layer], shape: Shape) -> bool:
    """Whether layers fit one behind the other."""
    for layer in layers:
        if not _fits(layer, [shape]):
            return False
        shape = layer.output_shape(shape)
    return True


def _is_near(window: Window) -> bool:
    """Whether a window spans no more than a map may have; the kernel is as large as its weights, or as a map."""
    reach = (size * dilation for size, dilation in zip(window.kernel, window.dilations, strict=True))
    return max((*reach, *window.strides, *map(max, window.pads)), default=0) <= FARTHEST


def _broadcasts(array: Array, shape: Shape) -> bool:
    """Whether an array fits a sample without enlarging it."""
    behind = shape[len(shape) - array.ndim :] if array.ndim <= len(shape) else ()
    return array.ndim <= len(shape) and all(size in (1, known) for size, known in zip(array.shape, behind, strict=True))


def _holds(shape: Shape, count: int) -> bool:
    """Whether so many elements can have that shape."""
    known = math.prod(size for size in shape if size != -1)
    if -1 not in shape:
        return min(shape, default=1) >= 0 and known == count
    return shape.count(-1) == 1 and known > 0 and count % known == 0


def _is_stretched(sampling: Sampling | None, size: int) -> bool:
    if sampling is None:
        return True
    if sampling.scale is not None and not 0 < sampling.scale < FARTHEST:
        return False
    return 0 < sampling.output_size(size) <= FARTHEST and np.isfinite(sampling.cubic)


def _is_resized(sampling: Sampling | None, size: int) -> bool:
    return sampling is None or (_is_stretched(sampling, size) and sampling.output_size(size) * size <= MATRIX)
