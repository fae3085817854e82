"""Operators that move elements without changing them, and those that do nothing."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import onnx

from lrpfast.errors import ModelError, UnsupportedError
from lrpfast.model.layers import Affine, Array, Concat, Gather, Layer, Moves, Pad, Pads, Reshape, Shape, Transpose
from lrpfast.model.onnx_import.registry import FreeShape, Join, Operation, Value, fixed, importer, listed

FLOATS = {
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.DOUBLE,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.BFLOAT16,
}


EVERYTHING = 10**9  # ends of slices from here on mean "all" to those who write files


def reshape_to(op: Operation) -> Shape:
    """Shape of the output sample, -1 for its only axis of free size."""
    if op.output.shape is None:
        raise UnsupportedError(
            "its target shape depends on the input in a way that cannot be followed; make it constant"
        )
    if op.stacks and op.batch > 1:
        raise UnsupportedError(
            f"it mixes the batch axis with others (the output has the shape {op.output.shape}); keep the "
            f"batch as the first axis, or export with a batch of 1"
        )
    shape = op.output.shape if op.stacks else op.output.shape[1:]
    if shape.count(None) > 1:
        raise UnsupportedError(f"its output {op.output.shape} has several axes of free size; fix the input size")
    return tuple(-1 if size is None else size for size in shape)


@importer("Reshape")
def reshape(op: Operation) -> list[Layer]:
    """Any target: what it does to a batch of one says what it does to each sample."""
    shape, sample = reshape_to(op), fixed(op.sample_shape)
    if sample is not None and -1 not in shape and math.prod(shape) != math.prod(sample):
        raise ModelError(f"a sample of shape {sample} does not fit into {shape}")
    return [Reshape(shape)]


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
    axes = op.axes(op.rank)
    if not axes or (axes[0] == 0 and not op.is_stacked):
        raise UnsupportedError("it removes the batch axis when that has size 1; name the other axes to remove")
    return [Reshape(reshape_to(op))]


@importer("Unsqueeze")
def unsqueeze(op: Operation) -> list[Layer]:
    """Axes of size 1 added."""
    axes = op.axes(len(op.output.shape or ()))
    if not axes or (axes[0] == 0 and not op.is_stacked):
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
def concat(op: Operation) -> list[Layer | Join]:
    """Branches side by side, constants among them."""
    rank = len(op.sample_shape) + 1
    axis = op.axis(op.attribute("axis"), rank) - 1
    if axis < 0:
        raise UnsupportedError("it joins along the batch axis; join along an axis of the sample")
    sides: list[list[Array]] = [[]]  # constants in front of each activation, and behind the last
    for index in range(len(op.inputs)):
        if not op.is_constant(index):
            sides.append([])
            continue
        constant = op.required(index)
        if constant.shape[:1] != (1,) or constant.ndim != rank:
            raise UnsupportedError(f"it joins a constant of shape {constant.shape}, which is not one sample")
        sides[-1].append(constant[0])
    last = len(op.activations) - 1
    branches = tuple(
        (number, _between(value, axis, sides[number], sides[-1] if number == last else []))
        for number, value in enumerate(op.activations)
    )
    return [Join(branches, Concat(axis))] if len(branches) > 1 else list(branches[0][1])


def _between(value: Value, axis: int, before: list[Array], after: list[Array]) -> tuple[Layer, ...]:
    """What puts an activation between constants: room for them, and their elements."""
    if not before and not after:
        return ()
    size, (first, *_) = (value.shape or ())[axis + 1], (*before, *after)
    if size is None:
        raise UnsupportedError("it joins a constant with an activation of free size; fix the input size")
    middle = np.zeros((*first.shape[:axis], size, *first.shape[axis + 1 :]), first.dtype)
    room = [(0, 0)] * first.ndim
    room[axis] = (sum(array.shape[axis] for array in before), sum(array.shape[axis] for array in after))
    return Pad(tuple(room)), Affine(np.ones((), np.float32), np.concatenate([*before, middle, *after], axis))


@importer("Pad")
def pad(op: Operation) -> list[Layer]:
    """A border of a constant, or of elements repeated; negative amounts crop."""
    mode = op.attribute("mode", "constant")
    if mode not in ("constant", *NUMPY_MODES):
        raise UnsupportedError(f"it pads in mode '{mode}'; lrpfast takes constant, {', '.join(NUMPY_MODES)}")
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
    if mode != "constant":
        return _repeating_border(op, tuple(pads[1:]), mode)
    value = op.setting("value", 2, 0.0)
    return _padding(tuple(pads[1:]), float(value[0] if isinstance(value, tuple) else value))


#: what NumPy calls the modes of padding that repeat elements of the sample
NUMPY_MODES: dict[str, Literal["reflect", "edge", "wrap"]] = {"reflect": "reflect", "edge": "edge", "wrap": "wrap"}


def _repeating_border(op: Operation, pads: Pads, mode: str) -> list[Layer]:
    """Elements of the sample around it, negative amounts cropped."""
    layers: list[Layer] = []
    for axis, (before, after) in enumerate(pads):
        if (before, after) == (0, 0):
            continue
        size = op.sample_shape[axis]
        if size is None:
            raise UnsupportedError("it repeats elements along an axis of free size; fix the input size")
        listed(size + max(before, 0) + max(after, 0))
        kept = np.arange(size)[max(-before, 0) : size - max(-after, 0)]
        places = np.pad(kept, (max(before, 0), max(after, 0)), NUMPY_MODES[mode])
        layers.append(Gather(axis, tuple(places.tolist())))
    return layers


@importer("Slice")
def slice_(op: Operation) -> list[Layer]:
    """Part of a sample: with step 1 a negative padding, else every so many elements."""
    rank = len(op.sample_shape) + 1
    starts, ends = op.setting("starts", 1), op.setting("ends", 2)
    axes = op.setting("axes", 3) or tuple(range(len(starts)))
    steps = op.setting("steps", 4) or (1,) * len(starts)
    pads = [(0, 0)] * rank
    picked: list[Layer] = []
    for start, end, step, axis in zip(starts, ends, steps, axes, strict=True):
        place = op.axis(axis, rank)
        if place == 0 and start == 0 and step == 1 and end >= EVERYTHING:
            continue
        size = None if place == 0 else op.sample_shape[place - 1]
        if size is None:
            raise UnsupportedError(
                f"it slices axis {axis}, which is the batch or of free size; slice axes of the sample, of fixed size"
            )
        indices = range(*slice(start, end, step).indices(size))
        if step == 1:
            pads[place] = (-indices.start, indices.stop - size)
        else:
            listed(len(indices))
            picked.append(Gather(place - 1, tuple(indices)))
    return [*_padding(tuple(pads[1:]), 0.0), *picked]


@importer("Split")
def split(op: Operation) -> list[Layer]:
    """One of several parts that lie behind one another."""
    rank = len(op.sample_shape) + 1
    axis = op.axis(op.attribute("axis", 0), rank)
    size = None if axis == 0 else op.sample_shape[axis - 1]
    if size is None:
        raise UnsupportedError("it splits the batch, or an axis of free size; split axes of the sample, of fixed size")
    count = op.attribute("num_outputs", len(op.node.output))
    chunk = -(-size // count)
    sizes = op.setting("split", 1) or tuple(min(chunk, size - chunk * i) for i in range(count))
    first = sum(sizes[: op.position])
    pads = [(0, 0)] * (rank - 1)
    pads[axis - 1] = (-first, first + sizes[op.position] - size)
    return _padding(tuple(pads), 0.0)


@importer("Gather")
def gather(op: Operation) -> list[Layer]:
    """Elements at constant places along an axis of the sample."""
    if op.is_constant(0):
        raise UnsupportedError(
            "it looks up rows of a constant by what is computed; lrpfast takes ids (N, L), right from the input, that "
            "name rows of a table (V, D)"
        )
    axis = op.axis(op.attribute("axis", 0), op.rank) - (not op.is_stacked)
    indices = op.input(1)
    if indices is None or indices.constant is None:
        raise UnsupportedError("its places are computed from the model's input; make them constant")
    size = None if axis < 0 else op.sample_shape[axis]
    if size is None:
        raise UnsupportedError("it picks along the batch, or an axis of free size; pick along one of fixed size")
    places = tuple(int(place) % size for place in indices.constant.ravel())
    layers: list[Layer] = [] if len(places) == size and places == tuple(range(size)) else [Gather(axis, places)]
    same_axes = indices.constant.ndim == 1 and op.stacks == op.is_stacked
    return layers if same_axes else [*layers, Reshape(reshape_to(op))]


@importer("Expand", "Tile")
def repeat(op: Operation) -> list[Layer]:
    """A sample beside itself, as often as is asked for along each axis."""
    target = None if op.output.shape is None else fixed(op.output.shape[1:])
    if target is None:
        raise UnsupportedError("it repeats its sample as often as a computed size asks for; fix the input size")
    return repeated(op.sample_shape, target)


def repeated(shape: FreeShape, target: Shape) -> list[Layer]:
    """The layers that repeat a sample until it has the shape `target`, whose axes are multiples of its own."""
    if len(shape) > len(target):
        raise UnsupportedError(f"a sample of shape {shape} has more axes than {target}")
    layers: list[Layer] = []
    if len(shape) < len(target):
        shape = (1,) * (len(target) - len(shape)) + tuple(shape)
        layers.append(Reshape(tuple(-1 if size is None else size for size in shape)))
    for axis, (size, wanted) in enumerate(zip(shape, target, strict=True)):
        if size is None:
            raise UnsupportedError("it repeats along an axis of free size; fix the input size")
        if size != wanted:
            layers.append(Gather(axis, tuple(place % size for place in range(listed(wanted)))))
    return layers


@importer("DepthToSpace", "SpaceToDepth")
def rearrange_blocks(op: Operation) -> list[Layer]:
    """Channels laid out as blocks of pixels, or blocks of pixels as channels."""
    side = op.attribute("blocksize")
    shape = fixed(op.sample_shape)
    if shape is None or len(shape) != 3:
        raise UnsupportedError(f"it needs samples (C, H, W) of fixed size, not {op.sample_shape}")
    channels, rows, columns = shape
    if op.node.op_type == "SpaceToDepth":
        rows, columns = rows // side, columns // side
        split_up, order = (channels, rows, side, columns, side), (2, 4, 0, 1, 3)
        joined = (channels * side * side, rows, columns)
    else:
        channels //= side * side
        if op.attribute("mode", "DCR") == "DCR":
            split_up, order = (side, side, channels, rows, columns), (2, 3, 0, 4, 1)
        else:
            split_up, order = (channels, side, side, rows, columns), (0, 3, 1, 4, 2)
        joined = (channels, rows * side, columns * side)
    return [Moves((Reshape(split_up), Transpose(order), Reshape(joined)))]


def _padding(pads: Pads, value: float) -> list[Layer]:
    return [Pad(pads, value)] if any(map(any, pads)) else []


@importer("Identity", "Dropout")
def alias(op: Operation) -> list[Layer]:
    """Nothing, in a model for inference."""
    if op.node.op_type == "Dropout" and op.setting("training_mode", 2):
        raise UnsupportedError("it drops elements at random; export the model for inference")
    return []
