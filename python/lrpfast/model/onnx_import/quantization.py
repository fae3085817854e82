"""Quantised operators, as what they stand for: real numbers, whose range is limited.

Values of the graph are the dequantised ones; that a quantised model also rounds them is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import onnx

from lrpfast.errors import ModelError, UnsupportedError
from lrpfast.model.layers import Activation, Affine, Array, AveragePool, Concat, Dense, Gate, Layer, Sum, whole_map
from lrpfast.model.onnx_import.activations import bounded
from lrpfast.model.onnx_import.convolution import convolution
from lrpfast.model.onnx_import.evaluation import dequantized
from lrpfast.model.onnx_import.linear import product
from lrpfast.model.onnx_import.registry import Operation, importer

ONE = np.ones((), np.float32)


def without_measuring(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """The nodes, with constants for the scale and the zero that some measure on an activation before they quantise it.

    What they hand on stands for real numbers already, so its scale is 1 and its zero 0.
    """
    for node in nodes:
        if node.op_type != "DynamicQuantizeLinear":
            yield node
            continue
        values, *measured = node.output
        unread = [f"{name}#measured" for name in measured]
        yield onnx.helper.make_node(node.op_type, node.input, [values, *unread], node.name)
        for name, constant in zip(measured, (np.float32(1), np.uint8(0)), strict=False):
            tensor = onnx.numpy_helper.from_array(np.asarray(constant))
            yield onnx.helper.make_node("Constant", [], [name], value=tensor)


@importer("ConvInteger")
def conv_integer(op: Operation) -> list[Layer]:
    """A convolution with weights whose scale comes later."""
    return [convolution(op, _centred(op, 1, 3, axis=0), None)]


@importer("MatMulInteger")
def matmul_integer(op: Operation) -> list[Layer]:
    """A product with a matrix whose scale comes later."""
    return product(op, _centred(op, 1, 3, axis=-1))


@importer("com.microsoft.MatMulIntegerToFloat", "com.microsoft.DynamicQuantizeMatMul")
def matmul_to_float(op: Operation) -> list[Layer]:
    """A product with a dequantised matrix, and a bias."""
    dynamic = op.node.op_type == "DynamicQuantizeMatMul"
    scale, zero, shift = (op.required(2), 3, 4) if dynamic else (op.required(2) * op.required(3), 5, 6)
    bias = op.weights(shift)
    layers = product(op, _centred(op, 1, zero, axis=-1, scale=scale))
    return layers if bias is None else [*layers, Affine(ONE, bias)]


@importer("QuantizeLinear")
def quantize(op: Operation) -> list[Layer]:
    """The floor and the ceiling of the numbers that the type can hold: how a quantised ReLU is written."""
    return [_range(op, scale=1)]


@importer("DequantizeLinear", "DynamicQuantizeLinear")
def dequantize(op: Operation) -> list[Layer]:
    """Nothing: values are dequantised already, and a measured range holds all of them."""
    return []


@importer("QLinearConv")
def conv(op: Operation) -> list[Layer]:
    """A convolution with dequantised weights."""
    weight = _constant(op, 3)
    bias = op.input(8)
    if bias is None:
        return [convolution(op, weight, None), _range(op, scale=6)]
    if bias.constant is None:
        raise UnsupportedError("its bias is computed from the model's input; make it a constant")
    per_channel = op.required(1).reshape(-1) * op.required(4).reshape(-1)
    return [convolution(op, weight, (bias.constant * per_channel).astype(np.float32)), _range(op, scale=6)]


@importer("QLinearMatMul")
def matmul(op: Operation) -> list[Layer]:
    """A product with a dequantised matrix on the right."""
    return [*product(op, _constant(op, 3)), _range(op, scale=6)]


@importer("com.microsoft.QGemm")
def gemm(op: Operation) -> list[Layer]:
    """``alpha A B + C`` with the activation as A."""
    if op.attribute("transA", 0):
        raise UnsupportedError("it transposes the activation, batch axis included; export it with transA=0")
    alpha, matrix, bias = op.attribute("alpha", 1.0), _constant(op, 3), op.input(6)
    weight = np.ascontiguousarray(matrix if op.attribute("transB", 0) else matrix.T) * np.float32(alpha)
    shift: Array | None = None
    if bias is not None and bias.constant is not None:
        shift = (bias.constant * (alpha * op.required(1).reshape(-1) * op.required(4).reshape(-1))).astype(np.float32)
    ends = [_range(op, scale=7)] if op.input(7) is not None else []
    return [Dense(weight, shift), *ends]


@importer("com.microsoft.QLinearAdd", "com.microsoft.QLinearMul")
def combine(op: Operation) -> list[Layer]:
    """The sum, or the product, of two activations."""
    if len(op.activations) < 2 or op.activations[0].shape != op.activations[1].shape:
        raise UnsupportedError("it joins an activation with a constant, or with one of another shape")
    return [Sum() if op.node.op_type == "QLinearAdd" else Gate(), _range(op, scale=6)]


@importer("com.microsoft.QLinearConcat")
def concat(op: Operation) -> list[Layer]:
    """Branches side by side."""
    axis = op.axis(op.attribute("axis"), len(op.sample_shape) + 1)
    if axis == 0 or 3 * len(op.activations) + 2 != len(op.inputs):
        raise UnsupportedError("it joins along the batch axis, or activations with a constant")
    return [Concat(axis - 1), _range(op, scale=0)]


@importer("com.microsoft.QLinearGlobalAveragePool")
def global_average_pool(op: Operation) -> list[Layer]:
    """Mean over the map."""
    if op.attribute("channels_last", 0):
        raise UnsupportedError("it has its channels last; export it with channels first")
    return [AveragePool(whole_map(len(op.sample_shape) - 1)), _range(op, scale=3)]


def _centred(op: Operation, index: int, zero: int, axis: int, scale: Array = ONE) -> Array:
    """Weights with their zero subtracted, times a scale."""
    weight, middle = op.input(index), op.input(zero)
    if weight is None or weight.constant is None or not op.activations or op.is_constant(0):
        raise UnsupportedError("its weights are computed from the model's input; make them constant")
    return dequantized(weight.constant, scale, None if middle is None else middle.constant, axis)


def _constant(op: Operation, index: int) -> Array:
    """A constant, with its scale and its zero behind it among the inputs."""
    value = op.input(index)
    if value is None or value.constant is None:
        raise UnsupportedError("its weights are computed from the model's input; make them constant")
    zero = op.input(index + 2)
    # Scales of weights belong to output channels: the first axis of a convolution's, the last of a matrix.
    axis = 0 if op.node.op_type == "QLinearConv" or op.attribute("transB", 0) else value.constant.ndim - 1
    return dequantized(value.constant, op.required(index + 1), None if zero is None else zero.constant, axis)


def _range(op: Operation, scale: int) -> Activation:
    """What the type that the values are rounded to can hold; `scale` is the number of the input with its scale."""
    size, zero = op.required(scale), op.input(scale + 1)
    if size.size != 1 or (zero is not None and zero.constant is None):
        raise UnsupportedError("it quantises each channel by a scale of its own; quantise activations as a whole")
    kind = np.dtype(np.uint8) if zero is None or zero.constant is None else zero.constant.dtype
    if kind.kind not in "iu":
        raise UnsupportedError(f"it quantises to {kind}; lrpfast takes integers")
    middle = 0 if zero is None or zero.constant is None else int(zero.constant.reshape(()))
    bounds, step = np.iinfo(kind), float(size.reshape(()))
    if step <= 0:
        raise ModelError(f"its scale is {step}, where a number above 0 is needed")
    return bounded((int(bounds.min) - middle) * step, (int(bounds.max) - middle) * step)
