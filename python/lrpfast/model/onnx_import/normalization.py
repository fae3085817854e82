"""Normalisation by what is measured on the sample itself: a signal, with gates that centre and scale it."""

from __future__ import annotations

import math

import numpy as np

from lrpfast.errors import ModelError, UnsupportedError
from lrpfast.model.layers import (
    Activation,
    Affine,
    AveragePool,
    Gate,
    Gather,
    Layer,
    MaxPool,
    Reshape,
    Shape,
    Transpose,
    Window,
    whole_map,
)
from lrpfast.model.onnx_import.registry import Join, Operation, fixed, importer, listed

ONE = np.ones((), np.float32)


@importer("InstanceNormalization", "GroupNormalization")
def group_normalization(op: Operation) -> list[Layer | Join]:
    """Zero mean and unit variance over the map of each channel, or over groups of channels."""
    shape = _fixed_shape(op)
    groups: int = op.attribute("num_groups", shape[0])
    if groups < 1 or shape[0] % groups:
        raise ModelError(f"{groups} groups do not fit {shape[0]} channels")
    scale, shift = op.required(1), op.required(2)
    if scale.shape != shift.shape or scale.size not in (groups, shape[0]):
        raise ModelError(f"its parameters of shape {scale.shape} do not fit {shape[0]} channels in {groups} groups")
    per_channel = (shape[0], *(1,) * (len(shape) - 1))
    affine = (np.repeat(array, shape[0] // array.size).reshape(per_channel) for array in (scale, shift))
    return [*_normalized(shape, groups, op.attribute("epsilon", 1e-5)), Affine(*affine)]


@importer("LayerNormalization")
def layer_normalization(op: Operation) -> list[Layer | Join]:
    """Zero mean and unit variance over the last axes."""
    shape = _fixed_shape(op)
    axis = op.axis(op.attribute("axis", -1), len(shape) + 1)
    if axis == 0:
        raise UnsupportedError("it normalises over the batch; name axes of the sample only")
    shift = op.weights(2)
    affine = Affine(op.per_sample(op.required(1)), np.zeros((), np.float32) if shift is None else op.per_sample(shift))
    return [*_normalized(shape, math.prod(shape[: axis - 1]), op.attribute("epsilon", 1e-5)), affine]


def _normalized(shape: Shape, rows: int, epsilon: float) -> list[Layer | Join]:
    """A sample, as rows of equal length each centred and scaled to a variance of 1."""
    length = math.prod(shape) // rows
    average, repeat = AveragePool(whole_map(1)), Gather(1, (0,) * listed(length))
    inverse_root = (Affine(ONE, np.asarray(epsilon, np.float32)), Activation("power", alpha=-0.5))
    return [
        Reshape((rows, length)),
        Join(((0, ()), (0, (average, Affine(-ONE, 0 * ONE), repeat))), Gate("plus")),
        Join(((0, ()), (0, (Activation("square"), average, *inverse_root, repeat))), Gate()),
        Reshape(shape),
    ]


@importer("Softmax", "LogSoftmax")
def softmax(op: Operation) -> list[Layer | Join]:
    """Between layers: a signal, centred at its largest element, and a gate that makes exponentials sum to 1."""
    shape = _fixed_shape(op)
    axis = op.axis(op.attribute("axis", 1 if op.opset < 13 else -1), len(shape) + 1) - 1
    if axis < 0:
        raise UnsupportedError("it takes the batch axis in; name an axis of the sample")
    # Before operator set 13 it spans all axes from that one on.
    rest = tuple(range(axis + 1, len(shape)))
    order = (*range(axis), *(rest if op.opset >= 13 else ()), axis, *(() if op.opset >= 13 else rest))
    length = shape[axis] if op.opset >= 13 else math.prod(shape[axis:])
    moved, back = tuple(shape[place] for place in order), tuple(order.index(place) for place in range(len(shape)))
    repeat, negative = Gather(1, (0,) * listed(length)), Affine(-ONE, 0 * ONE)
    total = (AveragePool(whole_map(1)), Affine(np.asarray(length, np.float32), 0 * ONE))
    layers: list[Layer | Join] = [
        Transpose(order),
        Reshape((math.prod(shape) // length, length)),
        Join(((0, ()), (0, (MaxPool(whole_map(1)), negative, repeat))), Gate("plus")),
    ]
    if op.node.op_type == "Softmax":
        divided = Join(((0, ()), (0, (*total, Activation("reciprocal"), repeat))), Gate())
        layers += [Activation("exp"), divided]
    else:
        logarithm = (Activation("exp"), *total, Activation("log"), negative, repeat)
        layers.append(Join(((0, ()), (0, logarithm)), Gate("plus")))
    return [*layers, Reshape(moved), Transpose(back)]


@importer("LRN")
def local_response_normalization(op: Operation) -> list[Layer | Join]:
    """Division by a power of the squares around, summed over neighbouring channels."""
    shape, size = _fixed_shape(op), op.attribute("size")
    if size < 1:
        raise ModelError(f"'size' is {size}, where a number of channels is needed")
    alpha, shift = op.attribute("alpha", 1e-4), np.asarray(op.attribute("bias", 1.0), np.float32)
    across = Window((size, 1), (1, 1), (1, 1), (((size - 1) // 2, size // 2), (0, 0)))
    gate = (
        Activation("square"),
        Reshape((1, shape[0], math.prod(shape[1:]))),
        AveragePool(across, count_include_pad=True),
        Reshape(shape),
        Affine(np.asarray(alpha, np.float32), shift),
        Activation("power", alpha=-op.attribute("beta", 0.75)),
    )
    return [Join(((0, ()), (0, gate)), Gate())]


def _fixed_shape(op: Operation) -> Shape:
    shape = fixed(op.sample_shape)
    if shape is None or len(shape) < 1:
        raise UnsupportedError(f"it normalises a sample of free size {op.sample_shape}; fix the input size")
    return shape
