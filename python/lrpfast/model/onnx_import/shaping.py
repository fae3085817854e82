"""Operators that move elements without changing them, and those that do nothing."""

from __future__ import annotations

import onnx

from lrpfast.errors import ModelError, UnsupportedError
from lrpfast.model.layers import Concat, Layer, Pad, Pads, Reshape, Shape, Transpose
from lrpfast.model.onnx_import.registry import Operation, importer

FLOATS = {
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.DOUBLE,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.BFLOAT16,
}


def reshape_to(op: Operation) -> Shape:
    """Shape of the output sample, -1 for its only axis of free size."""
    if op.output.shape is None or op.output.shape[0] is None:
        raise UnsupportedError(
            "its target shape depends on the input in a way that cannot be followed; make it constant"
        )
    if op.output.shape[0] != op.batch:
        raise UnsupportedError(
            f"it mixes the batch axis with others (the output has the shape {op.output.shape}); keep the "
            f"batch as the first axis"
        )
    shape = op.output.shape[1:]
    if shape.count(None) > 1:
        raise UnsupportedError(f"its output {op.output.shape} has several axes of free size; fix the input size")
    return tuple(-1 if size is None else size for size in shape)


@importer("Reshape")
def reshape(op: Operation) -> list[Layer]:
    """Any target that leaves the batch axis alone."""
    return [Reshape(reshape_to(op))]


@importer("Flatten")
def flatten(op: Operation) -> list[Layer]:
    """To a vector per sample."""
    rank = len(op.sample_shape) + 1
    if op.attribute("axis", 1) in (0, -rank):
        raise UnsupportedError("it flattens the batch axis too; use axis=1")
    return [Reshape(reshape_to(op))]


@importer("Squeeze")
def squeeze(op: Operation) -> list[Layer]:
    """Axes of size 1 removed."""
    axes = op.axes(len(op.sample_shape) + 1)
    if not axes or axes[0] == 0:
        raise UnsupportedError("it removes the batch axis when that has size 1; name the other axes to remove")
    return [Reshape(reshape_to(op))]


@importer("Unsqueeze")
def unsqueeze(op: Operation) -> list[Layer]:
    """Axes of size 1 added."""
    axes = op.axes(len(op.output.shape or ()))
    if not axes or axes[0] == 0:
        raise UnsupportedError("it adds an axis in front of the batch axis; keep the batch as the first axis")
    return [Reshape(reshape_to(op))]


@importer("Transpose")
def transpose(op: Operation) -> list[Layer]:
    """Axes of a sample in another order."""
    rank = len(op.sample_shape) + 1
    permutation = op.attribute("perm", tuple(reversed(range(rank))))
    if sorted(permutation) != list(range(rank)):
        raise ModelError(f"'perm' is {permutation}, no order of {rank} axes")
    if permutation[0] != 0:
        raise UnsupportedError(f"it moves the batch axis (perm={permutation}); keep the batch as the first axis")
    return [Transpose(tuple(axis - 1 for axis in permutation[1:]))]


@importer("Concat")
def concat(op: Operation) -> list[Layer]:
    """Branches side by side."""
    rank = len(op.sample_shape) + 1
    axis = op.axis(op.attribute("axis"), rank)
    if axis == 0:
        raise UnsupportedError("it joins along the batch axis; join along an axis of the sample")
    if len(op.activations) < len(op.inputs):
        raise UnsupportedError("it joins activations with a constant; use a Pad or leave the constant out")
    return [Concat(axis - 1)] if len(op.inputs) > 1 else []


@importer("Pad")
def pad(op: Operation) -> list[Layer]:
    """Constant border; negative amounts crop."""
    mode = op.attribute("mode", "constant")
    if mode != "constant":
        raise UnsupportedError(f"it pads in mode '{mode}'; lrpfast takes constant padding only")
    rank = len(op.sample_shape) + 1
    amounts = op.setting("pads", 1)
    axes = op.setting("axes", 3) or tuple(range(rank))
    if amounts is None or len(amounts) != 2 * len(axes):
        raise ModelError(f"'pads' is {amounts}, where {2 * len(axes)} numbers are needed")
    pads = [(0, 0)] * rank
    for position, axis in enumerate(axes):
        pads[op.axis(axis, rank)] = (amounts[position], amounts[len(axes) + position])
    if pads[0] != (0, 0):
        raise UnsupportedError("it pads the batch axis; pad axes of the sample only")
    value = op.setting("value", 2, 0.0)
    return _padding(tuple(pads[1:]), float(value[0] if isinstance(value, tuple) else value))


@importer("Slice")
def slice_(op: Operation) -> list[Layer]:
    """A contiguous part of a sample, as a negative padding."""
    rank = len(op.sample_shape) + 1
    starts, ends = op.setting("starts", 1), op.setting("ends", 2)
    axes = op.setting("axes", 3) or tuple(range(len(starts)))
    steps = op.setting("steps", 4) or (1,) * len(starts)
    pads = [(0, 0)] * rank
    for start, end, step, axis in zip(starts, ends, steps, axes, strict=True):
        place = op.axis(axis, rank)
        size = None if place == 0 else op.sample_shape[place - 1]
        if step != 1 or size is None:
            raise UnsupportedError(
                f"it slices axis {axis} with step {step}; lrpfast takes step 1 along axes of known size, not "
                f"along the batch"
            )
        first, last, _ = slice(start, end).indices(size)
        pads[place] = (-first, last - size)
    return _padding(tuple(pads[1:]), 0.0)


def _padding(pads: Pads, value: float) -> list[Layer]:
    return [Pad(pads, value)] if any(map(any, pads)) else []


@importer("Identity", "Dropout")
def alias(op: Operation) -> list[Layer]:
    """Nothing, in a model for inference."""
    if op.node.op_type == "Dropout" and op.setting("training_mode", 2):
        raise UnsupportedError("it drops elements at random; export the model for inference")
    return []


@importer("Cast")
def cast(op: Operation) -> list[Layer]:
    """Nothing: relevance is computed in one float type throughout."""
    if op.attribute("to") not in FLOATS:
        raise UnsupportedError("it rounds activations to a type that is not floating-point; cast to float instead")
    return []
