"""Pools, and means and maxima over axes."""

from __future__ import annotations

import math

from lrpfast.errors import ModelError, UnsupportedError
from lrpfast.model.layers import (
    Activation,
    AveragePool,
    Gate,
    Layer,
    MaxPool,
    Reshape,
    Shape,
    Sum,
    Transpose,
    Window,
    fitted,
    whole_map,
)
from lrpfast.model.onnx_import.activations import scale
from lrpfast.model.onnx_import.registry import Join, Operation, fixed, importer
from lrpfast.model.onnx_import.shaping import repeated, reshape_to
from lrpfast.model.onnx_import.window import read_window


@importer("MaxPool", "AveragePool")
def pool(op: Operation) -> list[Layer]:
    """Windowed maximum or mean."""
    kernel: Shape = op.attribute("kernel_shape")
    window = read_window(op, kernel, ceil=bool(op.attribute("ceil_mode", 0)))
    if any(max(pads) >= window.extent(axis) for axis, pads in enumerate(window.pads)):
        raise ModelError(f"padding {window.pads} is not smaller than its kernel {kernel}, so a window can be empty")
    if op.node.op_type == "MaxPool":
        return [MaxPool(window)]
    return [AveragePool(window, count_include_pad=bool(op.attribute("count_include_pad", 0)))]


@importer("GlobalAveragePool")
def global_average_pool(op: Operation) -> list[Layer]:
    """Mean over the map."""
    return [AveragePool(whole_map(_spatial_rank(op)))]


@importer("GlobalMaxPool")
def global_max_pool(op: Operation) -> list[Layer]:
    """Maximum over the map."""
    return [MaxPool(whole_map(_spatial_rank(op)))]


def _spatial_rank(op: Operation) -> int:
    if len(op.sample_shape) < 2:
        raise ModelError(f"a sample of shape {op.sample_shape} has no spatial axes")
    return len(op.sample_shape) - 1


@importer("LpPool", "GlobalLpPool")
def lp_pool(op: Operation) -> list[Layer]:
    """Root of the sum of powers in a window."""
    if op.node.op_type == "GlobalLpPool":
        spatial = fixed(op.sample_shape[1:])
        if spatial is None:
            raise UnsupportedError("it sums over a map of free size; fix the input size")
        window = fitted(whole_map(len(spatial)), spatial)
    else:
        window = read_window(op, op.attribute("kernel_shape"), ceil=bool(op.attribute("ceil_mode", 0)))
    exponent, count = op.attribute("p", 2), math.prod(window.kernel)
    if exponent not in (1, 2):
        raise UnsupportedError(f"it takes sums of powers of {exponent}; lrpfast takes 1 and 2")
    before, after = NORMS[exponent]
    return [before, AveragePool(window, count_include_pad=True), scale(count), *after]


NORMS: dict[int, tuple[Activation, tuple[Activation, ...]]] = {
    1: (Activation("abs"), ()),
    2: (Activation("square"), (Activation("sqrt"),)),
}


@importer(
    "ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum", "ReduceSumSquare", "ReduceL1", "ReduceL2", "ReduceLogSum",
    "ReduceLogSumExp",
)  # fmt: skip
def reduce(op: Operation) -> list[Layer | Join]:
    """One number for several elements, along some axes."""
    reduced = _reduced_axes(op)
    if reduced is None:
        return []
    layers: list[Layer | Join]
    match op.node.op_type:
        case "ReduceMean":
            layers = [*_pooled(op, reduced, AveragePool)]
        case "ReduceMax":
            layers = [*_pooled(op, reduced, MaxPool)]
        case "ReduceMin":
            layers = [scale(-1), *_pooled(op, reduced, MaxPool), scale(-1)]
        case "ReduceSum":
            layers = [*_summed(op, reduced)]
        case "ReduceSumSquare":
            layers = [Activation("square"), *_summed(op, reduced)]
        case "ReduceL1":
            layers = [Activation("abs"), *_summed(op, reduced)]
        case "ReduceLogSum":
            layers = [*_summed(op, reduced), Activation("log")]
        case "ReduceLogSumExp":
            layers = [_log_sum_exp(op, reduced)]
        case _:
            layers = [Activation("square"), *_summed(op, reduced), Activation("sqrt")]
    if not op.attribute("keepdims", 1):
        layers.append(Reshape(reshape_to(op)))
    return layers


def _log_sum_exp(op: Operation, reduced: set[int]) -> Join:
    """The largest element, and by how much the others raise it: nothing of that overflows."""
    shape = fixed(op.sample_shape)
    if shape is None:
        raise UnsupportedError(f"it adds exponentials in a sample of free size {op.sample_shape}; fix the input size")
    largest = tuple(_pooled(op, reduced, MaxPool))
    back = repeated(tuple(1 if axis in reduced else size for axis, size in enumerate(shape)), shape)
    centred = Join(((0, ()), (0, (*largest, scale(-1), *back))), Gate("plus"))
    return Join(((centred, (Activation("exp"), *_summed(op, reduced), Activation("log"))), (0, largest)), Sum())


def _reduced_axes(op: Operation) -> set[int] | None:
    """Axes of the sample; None for none."""
    rank = len(op.sample_shape)
    axes = op.axes(rank + 1)
    if not axes:
        if op.attribute("noop_with_empty_axes", 0):
            return None
        axes = tuple(range(rank + 1))
    if 0 in axes:
        raise UnsupportedError("it reduces over the batch axis; name the axes of the sample only")
    return {axis - 1 for axis in axes}


def _summed(op: Operation, reduced: set[int]) -> list[Layer]:
    sizes = fixed(tuple(op.sample_shape[axis] for axis in reduced))
    if sizes is None:
        raise UnsupportedError(
            f"it sums over axes of free size in a sample of shape {op.sample_shape}; fix the input size"
        )
    return [*_pooled(op, reduced, AveragePool), scale(math.prod(sizes))]


def _pooled(op: Operation, reduced: set[int], pool: type[AveragePool] | type[MaxPool]) -> list[Layer]:
    """A pool over some axes, between transposes if the first axis of the sample is among them."""
    rank = len(op.sample_shape)
    kept = [axis for axis in range(rank) if axis not in reduced]
    if not kept:
        if not op.attribute("keepdims", 1):
            raise UnsupportedError("it reduces a whole sample to one number without an axis; export it with keepdims=1")
        return [Reshape((1, -1)), pool(whole_map(1)), Reshape((1,) * rank)]
    order = (kept[0], *(axis for axis in range(rank) if axis != kept[0]))
    layers: list[Layer] = [pool(_reducing_window(op, order[1:], reduced))]
    if order != tuple(range(rank)):
        inverse = tuple(order.index(axis) for axis in range(rank))
        layers = [Transpose(order), *layers, Transpose(inverse)]
    return layers


def _reducing_window(op: Operation, spatial: Shape, reduced: set[int]) -> Window:
    """One window as large as the map along the reduced axes, and of size 1 along the others."""
    if reduced.issuperset(spatial):
        return whole_map(len(spatial))
    sizes = fixed(tuple(op.sample_shape[axis] if axis in reduced else 1 for axis in spatial))
    if sizes is None:
        raise UnsupportedError(
            f"it reduces some axes of free size in a sample of shape {op.sample_shape}; fix the input size"
        )
    ones = (1,) * len(spatial)
    return Window(sizes, ones, ones, ((0, 0),) * len(spatial))
