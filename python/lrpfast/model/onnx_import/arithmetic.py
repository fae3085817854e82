"""Sums, products, the larger and the smaller of two, and BatchNormalization."""

from __future__ import annotations

import math

import numpy as np

from lrpfast.errors import ModelError, UnsupportedError
from lrpfast.model.layers import Activation, Affine, Array, Concat, Gate, Layer, MaxPool, Reshape, Sum, Window
from lrpfast.model.onnx_import.activations import bounded
from lrpfast.model.onnx_import.registry import Join, Operation, Value, fixed, importer
from lrpfast.model.onnx_import.shaping import repeated

ONE, ZERO = np.ones((), np.float32), np.zeros((), np.float32)


@importer("Add", "Sum")
def add(op: Operation) -> list[Layer | Join]:
    """Branches, the smaller ones repeated, and any number of constants."""
    if len(op.inputs) == 2 and len(op.activations) == 1:
        _, larger, constant = _operands(op)
        return [*larger, Affine(ONE, constant)]
    constants: list[Layer | Join] = [
        Affine(ONE, op.per_sample(op.required(index))) for index in range(len(op.inputs)) if op.is_constant(index)
    ]
    if len(op.activations) == 1:
        return constants
    return [joined(op, Sum()), *constants]


@importer("Mean")
def mean(op: Operation) -> list[Layer | Join]:
    """The mean of branches."""
    if len(op.activations) < len(op.inputs):
        raise UnsupportedError("it takes the mean of activations and a constant; add and scale them instead")
    return [joined(op, Sum()), Affine(ONE / np.float32(len(op.inputs)), ZERO)]


@importer("Sub")
def sub(op: Operation) -> list[Layer | Join]:
    """A difference, of which one side may be constant; the mean of a signal that is subtracted centres it."""
    if len(op.activations) > 1:
        signal, other = op.activations
        return [joined(op, Gate("plus") if other.mean_of == signal.name else Sum(), signs=(1, -1))]
    sign, larger, constant = _operands(op)
    # With the constant on the left the activation enters with its sign turned.
    return [*larger, Affine(-ONE, constant) if sign < 0 else Affine(ONE, -constant)]


@importer("Mul")
def mul(op: Operation) -> list[Layer | Join]:
    """Product with a constant on either side, or of a signal and a gate."""
    if len(op.activations) > 1:
        return [joined(op, Gate(), order=_signal_first(op))]
    _, larger, constant = _operands(op)
    return [*larger, Affine(constant, ZERO)]


@importer("Div")
def div(op: Operation) -> list[Layer | Join]:
    """Quotient with a constant divisor, or of a signal and an activation that normalises it."""
    if len(op.activations) > 1:
        return [joined(op, Gate(), last=(Activation("reciprocal"),))]
    side, larger, constant = _operands(op)
    if side < 0:
        return [Activation("reciprocal"), *larger, Affine(constant, ZERO)]
    if not constant.all():
        raise ModelError("its constant divisor holds zeros")
    return [*larger, Affine((1.0 / constant.astype(np.float64)).astype(constant.dtype), ZERO)]


@importer("Neg")
def neg(op: Operation) -> list[Layer]:
    """Sign turned."""
    return [Affine(-ONE, ZERO)]


@importer("Max", "Min")
def extreme(op: Operation) -> list[Layer | Join]:
    """The largest or smallest of branches, element by element: a max pool of the branches side by side.

    With a constant it is a function with a floor or a ceiling, if that is the same everywhere.
    """
    sign = 1 if op.node.op_type == "Max" else -1
    if len(op.activations) == 1:
        bounds = [op.required(index) for index in range(len(op.inputs)) if op.is_constant(index)]
        if any(bound.size != 1 for bound in bounds):
            raise UnsupportedError("it compares with a constant that differs from element to element; use one number")
        levels = [float(bound.reshape(())) for bound in bounds]
        return [bounded(low=max(levels)) if sign > 0 else bounded(high=min(levels))] if levels else []
    if len(op.activations) < len(op.inputs):
        raise UnsupportedError("it compares several activations and a constant; compare them one after the other")
    shape = None if op.output.shape is None else fixed(op.output.shape[1:])
    if shape is None:
        raise UnsupportedError("it compares activations of free size; fix the input size")
    count, turned = len(op.activations), [Affine(-ONE, ZERO)] if sign < 0 else []
    window = Window((count, 1), (1, 1), (1, 1), ((0, 0), (0, 0)))
    branches = tuple(
        (index, (*repeated(value.shape[1:], shape), *turned, Reshape((shape[0], 1, math.prod(shape[1:])))))
        for index, value in enumerate(op.activations)
        if value.shape
    )
    return [Join(branches, Concat(1)), MaxPool(window), Reshape(shape), *turned]


def joined(
    op: Operation,
    layer: Layer,
    order: tuple[int, ...] = (),
    signs: tuple[int, ...] = (),
    last: tuple[Layer, ...] = (),
) -> Join:
    """Branches that are first repeated where they are smaller; `last` comes at the end of the last of them."""
    order = order or tuple(range(len(op.activations)))
    branches = []
    for position, index in enumerate(order):
        chain: list[Layer] = [*last] if position == len(order) - 1 else []
        if signs and signs[position] < 0:
            chain.append(Affine(-ONE, ZERO))
        branches.append((index, (*chain, *repeated_to_output(op, op.activations[index]))))
    return Join(tuple(branches), layer)


def repeated_to_output(op: Operation, value: Value) -> list[Layer]:
    """What gives a branch the shape of the node's output."""
    shape, target = value.shape, op.output.shape
    if shape == target or shape is None or all(value.shape == other.shape for other in op.activations):
        return []
    known = None if target is None else fixed(target[1:])
    if known is None or len(shape) != len(known) + 1:
        listing = ", ".join(str(branch.shape) for branch in op.activations)
        raise UnsupportedError(
            f"it joins branches of different shapes ({listing}); give them the same number of axes, batch first, "
            f"and a fixed size"
        )
    return repeated(shape[1:], known)


def _signal_first(op: Operation) -> tuple[int, ...]:
    """The order signal, gate: a gate is smaller than its signal, or made by a function that saturates."""
    first, second = op.activations

    def size(value: Value) -> int:
        return math.prod(fixed(value.shape or ()) or (1,))

    if size(first) != size(second):
        return (0, 1) if size(first) > size(second) else (1, 0)
    return (1, 0) if first.saturates and not second.saturates else (0, 1)


def _operands(op: Operation) -> tuple[int, list[Layer | Join], Array]:
    """1 if the activation is on the left, else -1, what repeats it if the constant is larger, and the constant."""
    side = -1 if op.is_constant(0) else 1
    constant = op.required(1 if side > 0 else 0)
    target = None if op.stacks or op.output.shape is None else fixed(op.output.shape[1:])
    own = fixed(op.sample_shape)
    if target is None or own is None or target == own or len(target) != len(own):
        return side, [], op.per_sample(constant)
    if constant.ndim == len(target) + 1:
        if len(constant) > 1:
            raise UnsupportedError(
                f"a constant of shape {constant.shape} differs from sample to sample; use one for all"
            )
        constant = constant[0]
    return side, [*repeated(own, target)], constant


@importer("BatchNormalization")
def batch_normalization(op: Operation) -> list[Layer]:
    """Scale and shift with the stored statistics."""
    if op.attribute("training_mode", 0) or not op.attribute("spatial", 1):
        raise UnsupportedError("it computes its statistics from the batch or per position; export it for inference")
    scale, shift, mean, variance = (op.required(index).astype(np.float64) for index in range(1, 5))
    channels = op.sample_shape[0]
    if not scale.shape == shift.shape == mean.shape == variance.shape or channels not in (None, scale.size):
        raise ModelError(f"its parameters of shape {scale.shape} do not fit {channels} channels")
    root = variance + op.attribute("epsilon", 1e-5)
    if not (root > 0).all():
        raise ModelError("its variance is not positive")
    scale = scale / np.sqrt(root)
    shift = shift - mean * scale
    shape = (-1, *(1,) * (len(op.sample_shape) - 1))
    # In double precision: folding, or rounding at its end, decides what is kept of it.
    return [Affine(scale.reshape(shape), shift.reshape(shape))]
