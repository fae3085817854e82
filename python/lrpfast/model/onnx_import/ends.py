"""The ends of a model: which input is explained, which output, and what stands behind its scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import onnx

from lrpfast.errors import ModelError
from lrpfast.model.onnx_import.evaluation import constant, from_type
from lrpfast.model.onnx_import.registry import FreeShape, Value
from lrpfast.model.onnx_import.shaping import FLOATS

HEADS = {"LogSoftmax", "Sigmoid", "Softmax"}
BEHIND_HEAD = {"Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
RANKING = {"ArgMax", "TopK", "ZipMap"}  # choose among scores, or name them
OF_PROBABILITIES = {"Normalizer"}  # is left out together with the head that makes them


def chosen_output(graph: onnx.GraphProto, output: str | None) -> str:
    """The output of that name, or the only one that may hold scores."""
    names: list[str] = [value.name for value in graph.output]
    listing = ", ".join(f"'{name}'" for name in names)
    if output is None:
        scores: list[str] = [value.name for value in graph.output if _may_be_scores(value)] or names
        if len(scores) != 1:
            raise ModelError(f"The model has {len(names)} outputs ({listing}); choose one with output=NAME.")
        return scores[0]
    if output not in names:
        raise ModelError(f"The model has no output '{output}'; it has {listing}.")
    return output


def _may_be_scores(value: onnx.ValueInfoProto) -> bool:
    """Whether the values are numbers, or not said to be anything else, such as the name of a class."""
    return value.type.tensor_type.elem_type in {onnx.TensorProto.UNDEFINED, *FLOATS}


def head(producers: dict[str, onnx.NodeProto], output: str) -> tuple[str | None, set[str]]:
    """Operator of a final Softmax or Sigmoid, and the values that are taken as their inputs to leave it out.

    What chooses among scores goes too, with all that is made of the choice.
    """
    value, skipped, with_head, behind = output, set[str](), set[str](), set[str]()
    while value in producers:
        node = producers[value]
        behind.add(value)
        if node.op_type in HEADS:
            return node.op_type, {value, *skipped, *with_head}
        if node.op_type in RANKING:
            skipped |= behind
        elif node.op_type in OF_PROBABILITIES:
            with_head.add(value)
        elif node.op_type not in BEHIND_HEAD:
            break
        value = node.input[0]
    return None, skipped


def held(graph: onnx.GraphProto, given: Mapping[str, npt.ArrayLike]) -> dict[str, Value]:
    """Inputs that are held at a value, as constants."""
    declared = {entry.name: from_type(entry.name, entry.type) for entry in graph.input}
    held = {}
    for name, elements in given.items():
        if name not in declared:
            listing = ", ".join(f"'{known}'" for known in declared)
            raise ModelError(f"The model has no input '{name}' to be held fixed; it has {listing}.")
        shape, dtype = declared[name].shape, declared[name].dtype
        array = np.asarray(elements, onnx.helper.tensor_dtype_to_np_dtype(dtype) if dtype else None)
        if shape is not None and not _fits(array.shape, shape):
            raise ModelError(
                f"The input '{name}' is held at a value of shape {array.shape}, where one of shape {shape} is needed; "
                f"give it with the batch axis, of size 1."
            )
        held[name] = constant(name, array)
    return held


def sized(declared: Value, shape: Sequence[int | None]) -> Value:
    """An input with sizes for the axes that the file leaves free; any batch will do."""
    known = (shape[0], *(declared.shape or shape)[1:]) if shape else ()
    if not _agree(shape, known):
        raise ModelError(
            f"The input '{declared.name}' is to have the shape {tuple(shape)}, but the file says {declared.shape}; "
            f"give sizes for axes that it leaves free, batch first."
        )
    batch = declared.shape[0] if declared.shape else shape[0]
    sizes = (given or size for given, size in zip(shape[1:], known[1:], strict=True))
    return replace(declared, shape=(batch, *sizes))


def _agree(one: Sequence[int | None], other: Sequence[int | None]) -> bool:
    """Whether two shapes may be the same."""
    return len(one) == len(other) > 0 and all(a == b or None in (a, b) for a, b in zip(one, other, strict=True))


def _fits(shape: Sequence[int], declared: FreeShape) -> bool:
    """Whether a value for one sample has the declared shape."""
    return _agree(shape, (1, *declared[1:]) if declared else declared)


def chosen_input(
    graph: onnx.GraphProto, needed: list[onnx.NodeProto], value: str, held: Mapping[str, Value]
) -> onnx.ValueInfoProto:
    """The one input that is no initializer, is not held fixed, and that the output depends on."""
    weights = {tensor.name for tensor in graph.initializer} | {
        tensor.values.name for tensor in graph.sparse_initializer
    }
    weights |= held.keys()
    read = {name for node in needed for name in node.input} | {value}
    inputs: list[onnx.ValueInfoProto] = [
        entry for entry in graph.input if entry.name not in weights and entry.name in read
    ]
    if len(inputs) == 1:
        return inputs[0]
    if not inputs:
        raise ModelError(f"The output '{value}' depends on no input of the model, so there is nothing to explain.")
    listing = ", ".join(f"'{entry.name}'" for entry in inputs)
    raise ModelError(
        f"The output '{value}' depends on {len(inputs)} inputs ({listing}), and lrpfast explains one of them at a "
        f"time; hold the others at a value: load(..., fixed={{'{inputs[-1].name}': array}})."
    )
