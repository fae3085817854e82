"""Conv."""

from __future__ import annotations

from lrpfast.errors import ModelError, UnsupportedError
from lrpfast.model.layers import Convolution, Layer
from lrpfast.model.onnx_import.registry import Operation, importer
from lrpfast.model.onnx_import.window import read_window


@importer("Conv")
def conv(op: Operation) -> list[Layer]:
    """One to three spatial axes, constant weights."""
    weight, bias = op.required(1), op.weights(2)
    kernel, groups = weight.shape[2:], op.attribute("group", 1)
    if not 1 <= len(kernel) <= 3:
        raise UnsupportedError(f"it has {len(kernel)} spatial axes; lrpfast takes 1, 2 or 3")
    if op.attribute("kernel_shape", kernel) != kernel:
        raise ModelError(
            f"'kernel_shape' is {op.attribute('kernel_shape')}, but the weights have the shape {weight.shape}"
        )
    window = read_window(op, kernel)
    channels = op.sample_shape[0]
    if groups < 1 or weight.shape[0] % groups or channels not in (None, weight.shape[1] * groups):
        raise ModelError(f"weights of shape {weight.shape} in {groups} group(s) do not fit {channels} input channels")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ModelError(f"a bias of shape {bias.shape} does not fit weights of shape {weight.shape}")
    return [Convolution(weight, bias, window, groups)]
