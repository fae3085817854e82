"""Gemm, MatMul and Einsum."""

from __future__ import annotations

import math

import numpy as np

from lrpfast.errors import ModelError, UnsupportedError
from lrpfast.model.layers import Affine, Array, Convolution, Dense, Layer, Reshape, Transpose, Window
from lrpfast.model.onnx_import.registry import Operation, fixed, importer


@importer("Gemm")
def gemm(op: Operation) -> list[Layer]:
    """``alpha A B + beta C`` with the activation as A."""
    if op.is_constant(0):
        raise UnsupportedError("its left operand is a constant; put the activation on the left")
    if op.attribute("transA", 0):
        raise UnsupportedError("it transposes the activation, batch axis included; export it with transA=0")
    matrix = op.required(1)
    weight = matrix if op.attribute("transB", 0) else matrix.T
    bias = _row(op.weights(2), weight.shape[0])
    if bias is not None:
        bias = _scaled(bias, op.attribute("beta", 1.0))
    weight = _scaled(weight, op.attribute("alpha", 1.0))
    if not op.is_stacked:
        return [Dense(weight, bias)]
    return [*product(op, weight.T), *([] if bias is None else [Affine(np.ones((), np.float32), bias)])]


def _row(array: Array | None, size: int) -> Array | None:
    """Operand C of a Gemm as one bias for all samples."""
    if array is None:
        return None
    if array.ndim == 2 and array.shape[0] != 1:
        raise UnsupportedError(
            f"its constant C of shape {array.shape} differs from sample to sample; use one row for all"
        )
    if array.ndim > 2 or array.size not in (1, size):
        raise ModelError(f"C of shape {array.shape} does not fit {size} outputs")
    return np.broadcast_to(array.reshape(-1), (size,))


def _scaled(array: Array, factor: float) -> Array:
    return array if factor == 1.0 else (array.astype(np.float64) * factor).astype(array.dtype)


@importer("MatMul")
def matmul(op: Operation) -> list[Layer]:
    """A product with a constant: Dense for a vector, else a pointwise convolution over the other axes."""
    if len(op.activations) > 1:
        raise UnsupportedError(
            "it multiplies two activations; lrpfast explains products with constant matrices only, not attention"
        )
    if op.is_constant(0):
        return _from_the_left(op, op.required(0))
    return product(op, op.required(1))


def _from_the_left(op: Operation, matrix: Array) -> list[Layer]:
    """A matrix times a sample: the same as the sample times the matrix, both transposed."""
    rank = len(op.sample_shape)
    if rank < 2 or op.is_stacked:
        raise UnsupportedError("its left operand is a constant, which mixes samples; put the activation on the left")
    turned = Transpose((*range(rank - 2), rank - 1, rank - 2))
    return [turned, *product(op, matrix.swapaxes(-1, -2) if matrix.ndim > 1 else matrix), turned]


def product(op: Operation, matrix: Array) -> list[Layer]:
    """A sample times a matrix."""
    rank = len(op.sample_shape)
    if matrix.ndim < 2 or max(matrix.shape[:-2], default=1) > 1:
        raise UnsupportedError(f"its constant has the shape {matrix.shape}; one matrix (in, out) is needed")
    weight = matrix.reshape(matrix.shape[-2:]).T
    if rank < 1 or matrix.ndim > rank + 1:
        raise UnsupportedError(
            f"a sample of shape {op.sample_shape} times a constant of shape {matrix.shape} changes the "
            f"number of axes; use a plain matrix and a sample with at least one axis"
        )
    if rank == 1:
        return [Dense(weight, None)]
    return _pointwise(weight, rank)


def _pointwise(weight: Array, rank: int) -> list[Layer]:
    """The last axis becomes the channels, and goes back to its place afterwards."""
    spatial = rank - 1
    if spatial > 3:
        raise UnsupportedError(f"its sample has {rank} axes; lrpfast takes up to 4")
    ones = (1,) * spatial
    window = Window(ones, ones, ones, ((0, 0),) * spatial)
    return [
        Transpose((rank - 1, *range(rank - 1))),
        Convolution(weight.reshape(*weight.shape, *ones), None, window),
        Transpose((*range(1, rank), 0)),
    ]


@importer("Einsum")
def einsum(op: Operation) -> list[Layer]:
    """A matrix product in index notation: some axes of the sample times a constant."""
    terms, result = _terms(op)
    if len(terms) != 2 or len(op.activations) != 1:
        raise UnsupportedError("it is no product of an activation and a constant; attention is not explained")
    place = 0 if op.is_constant(1) else 1
    sample, weight, array = terms[place], terms[1 - place], op.required(1 - place)
    shape = fixed(op.sample_shape)
    if shape is None or len(sample) != len(shape) + 1 or len(weight) != array.ndim:
        raise UnsupportedError(f"it multiplies a sample of shape {op.sample_shape}; fix the input size")
    batch, axes = sample[0], sample[1:]
    summed = [label for label in axes if label in weight and label not in result]
    made = [label for label in weight if label not in axes]
    rest = [label for label in axes if label not in weight]
    plain = set(result) == {batch, *made, *rest} and batch not in weight and result[0] == batch
    if not plain or not made or not summed or any(len(set(term)) < len(term) for term in (*terms, result)):
        raise UnsupportedError(f"'{op.attribute('equation')}' is no matrix product that leaves the batch in front")
    sizes = dict(zip(axes, shape, strict=True)) | dict(zip(weight, array.shape, strict=True))
    matrix = array.transpose([weight.index(label) for label in (*made, *summed)])
    matrix = matrix.reshape(math.prod(sizes[label] for label in made), -1)
    across = [*made, *rest]
    return [
        Transpose(tuple(axes.index(label) for label in (*summed, *rest))),
        Reshape((matrix.shape[1], math.prod(sizes[label] for label in rest))),
        Convolution(matrix[..., np.newaxis], None, Window((1,), (1,), (1,), ((0, 0),))),
        Reshape(tuple(sizes[label] for label in across)),
        Transpose(tuple(across.index(label) for label in result[1:])),
    ]


def _terms(op: Operation) -> tuple[list[str], str]:
    """The labels of each operand and of the result."""
    equation = str(op.attribute("equation")).replace(" ", "")
    operands, arrow, result = equation.partition("->")
    if not arrow or "." in equation:
        raise UnsupportedError(f"'{equation}' does not name all axes; write it as in 'bi,ij->bj'")
    return operands.split(","), result
