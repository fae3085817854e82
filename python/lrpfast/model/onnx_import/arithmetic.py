"""Sums, products with constants, and BatchNormalization."""

from __future__ import annotations

import numpy as np

from lrpfast.errors import ModelError, UnsupportedError
from lrpfast.model.layers import Affine, Array, Layer, Sum
from lrpfast.model.onnx_import.registry import Operation, importer

ONE, ZERO = np.ones((), np.float32), np.zeros((), np.float32)


@importer("Add", "Sum")
def add(op: Operation) -> list[Layer]:
    """Branches of equal shape and any number of constants."""
    branches = op.activations
    layers: list[Layer] = []
    if len(branches) > 1:
        shapes = {branch.shape for branch in branches}
        if len(shapes) > 1:
            listing = ", ".join(str(branch.shape) for branch in branches)
            raise UnsupportedError(f"it adds branches of different shapes ({listing}), repeating one; make them equal")
        layers.append(Sum())
    layers.extend(
        Affine(ONE, op.per_sample(op.required(index))) for index in range(len(op.inputs)) if op.is_constant(index)
    )
    return layers


@importer("Sub")
def sub(op: Operation) -> list[Layer]:
    """Activation minus constant, or constant minus activation."""
    sign, constant = _operands(op, "subtracts")
    # With the constant on the left the activation enters with its sign turned.
    return [Affine(-ONE, constant)] if sign < 0 else [Affine(ONE, -constant)]


@importer("Mul")
def mul(op: Operation) -> list[Layer]:
    """Product with a constant on either side."""
    _, constant = _operands(op, "multiplies")
    return [Affine(constant, ZERO)]


@importer("Div")
def div(op: Operation) -> list[Layer]:
    """Quotient with a constant divisor."""
    side, constant = _operands(op, "divides")
    if side < 0:
        raise UnsupportedError("it divides a constant by an activation, which no linear layer expresses")
    if not constant.all():
        raise ModelError("its constant divisor holds zeros")
    return [Affine((1.0 / constant.astype(np.float64)).astype(constant.dtype), ZERO)]


@importer("Neg")
def neg(op: Operation) -> list[Layer]:
    """Sign turned."""
    return [Affine(-ONE, ZERO)]


def _operands(op: Operation, verb: str) -> tuple[int, Array]:
    """1 if the activation is on the left, else -1, and the constant at its side."""
    if len(op.activations) > 1:
        raise UnsupportedError(
            f"it {verb} two activations, for which lrpfast has no convention yet; use a constant operand"
        )
    left = not op.is_constant(0)
    return (1 if left else -1), op.per_sample(op.required(1 if left else 0))


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
