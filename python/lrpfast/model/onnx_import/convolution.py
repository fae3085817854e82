"""Conv and ConvTranspose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lrpfast.errors import ModelError, UnsupportedError
from lrpfast.model.layers import Activation, Array, Convolution, Layer, Shape, TransposedConvolution
from lrpfast.model.onnx_import.activations import bounded
from lrpfast.model.onnx_import.registry import FreeShape, Operation, importer
from lrpfast.model.onnx_import.window import AUTO, read_window


@importer("Conv")
def conv(op: Operation) -> list[Layer]:
    """One to three spatial axes, constant weights."""
    return [convolution(op, op.required(1), op.weights(2))]


@importer("com.microsoft.FusedConv")
def fused_conv(op: Operation) -> list[Layer]:
    """A convolution and the activation behind it, as runtimes write optimised models."""
    if op.input(3) is not None:
        raise UnsupportedError("it adds another activation; save the model before it is optimised")
    name, parameters = op.attribute("activation", ""), op.attribute("activation_params", ())
    function = FUSED.get(name)
    if function is None:
        raise UnsupportedError(f"it ends in '{name}'; save the model before it is optimised")
    return [convolution(op, op.required(1), op.weights(2)), function(*parameters)]


FUSED: dict[str, Callable[..., Activation]] = {
    "Relu": lambda: Activation("relu"),
    "Sigmoid": lambda: Activation("sigmoid"),
    "Tanh": lambda: Activation("tanh"),
    "LeakyRelu": lambda slope: Activation("leaky_relu", slope=np.asarray(slope, np.float32)),
    "Clip": bounded,
    "HardSigmoid": lambda alpha, beta: Activation("hard_sigmoid", alpha=alpha, beta=beta),
}


def convolution(op: Operation, weight: Array, bias: Array | None) -> Convolution:
    """The layer of a node with these weights."""
    groups = _groups(op, weight)
    layer = Convolution(weight, bias, read_window(op, weight.shape[2:]), groups)
    _require_fitting(op, layer, inputs=weight.shape[1] * groups)
    return layer


@importer("ConvTranspose")
def conv_transpose(op: Operation) -> list[Layer]:
    """The adjoint of a convolution; the size of its output given by padding, or the other way round."""
    weight = op.required(1)
    groups = _groups(op, weight)
    window = read_window(op, weight.shape[2:], sized=False)
    rank = len(window.kernel)
    extra: Shape = op.attribute("output_padding", (0,) * rank)
    bounds = map(max, window.strides, window.dilations)
    if len(extra) != rank or not all(0 <= more < bound for more, bound in zip(extra, bounds, strict=True)):
        raise ModelError(f"'output_padding' is {extra}, where {rank} numbers below the strides are needed")
    layer = TransposedConvolution(weight, op.weights(2), window, groups, extra)
    _require_fitting(op, layer, inputs=weight.shape[0])
    asked = _asked_size(op, layer)
    if asked is not None:
        layer = _cropped(layer, op.sample_shape[1:], asked, op.attribute("auto_pad", "NOTSET"))
    if any(more >= stride for more, stride in zip(layer.extra, window.strides, strict=True)):
        raise UnsupportedError(
            f"its output is {layer.extra} longer than its kernel reaches, which strides {window.strides} do not make; "
            f"ask for a smaller output, and pad that"
        )
    return [layer]


def _groups(op: Operation, weight: Array) -> int:
    kernel = weight.shape[2:]
    if not 1 <= len(kernel) <= 3:
        raise UnsupportedError(f"it has {len(kernel)} spatial axes; lrpfast takes 1, 2 or 3")
    if op.attribute("kernel_shape", kernel) != kernel:
        raise ModelError(
            f"'kernel_shape' is {op.attribute('kernel_shape')}, but the weights have the shape {weight.shape}"
        )
    groups: int = op.attribute("group", 1)
    return groups


def _require_fitting(op: Operation, layer: Convolution | TransposedConvolution, inputs: int) -> None:
    shape, groups, channels = layer.weight.shape, layer.groups, op.sample_shape[0]
    if groups < 1 or shape[0] % groups or channels not in (None, inputs):
        raise ModelError(f"weights of shape {shape} in {groups} group(s) do not fit {channels} input channels")
    if layer.bias is not None and layer.bias.shape != (layer.outputs,):
        raise ModelError(f"a bias of shape {layer.bias.shape} does not fit weights of shape {shape}")


def _asked_size(op: Operation, layer: TransposedConvolution) -> FreeShape | None:
    """The size of the output where the file asks for one, and padding follows from it."""
    asked: Shape | None = op.attribute("output_shape")
    if asked is not None:
        return asked[-len(layer.window.kernel) :]
    if op.attribute("auto_pad", "NOTSET") not in AUTO:
        return None
    return tuple(
        None if size is None else size * stride
        for size, stride in zip(op.sample_shape[1:], layer.window.strides, strict=True)
    )


def _cropped(
    layer: TransposedConvolution, spatial: FreeShape, asked: FreeShape, auto_pad: str
) -> TransposedConvolution:
    """The layer with the padding that gives an output of the size `asked`."""
    pads, extras = [], []
    for axis, (size, wanted) in enumerate(zip(spatial, asked, strict=True)):
        if size is None or wanted is None:
            raise UnsupportedError("it asks for an output of a size of its own; fix the input size")
        whole = (size - 1) * layer.window.strides[axis] + layer.window.extent(axis) + layer.extra[axis]
        total = max(whole - wanted, 0)
        less, more = total // 2, total - total // 2
        pads.append((less, more) if auto_pad == "SAME_UPPER" else (more, less))
        extras.append(layer.extra[axis] + max(wanted - whole, 0))
    return replace(layer, window=replace(layer.window, pads=tuple(pads), auto_pad=""), extra=tuple(extras))
