"""Models that begin with ids: what is made of each id alone is a table, and their graph begins with its rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import onnx

from lrpfast.model.graph import Node
from lrpfast.model.layers import Array, Pad, Reshape
from lrpfast.model.onnx_import.evaluation import Budget, Constant, Opsets, constant, evaluate
from lrpfast.model.onnx_import.registry import Value

#: operators whose outputs for an id depend on that id, as long as the axes (N, L) stay in front
PER_ID = {
    "Add", "And", "Cast", "Clip", "Concat", "DequantizeLinear", "Div", "Equal", "Gather", "Greater", "GreaterOrEqual",
    "Identity", "Less", "LessOrEqual", "Max", "Min", "Mod", "Mul", "Not", "Or", "Sub", "Unsqueeze", "Where",
}  # fmt: skip
ROWS = "#rows"  # the value that a graph begins with which reads its table in several places


def table_length(source: Value, needed: Iterable[onnx.NodeProto], constants: Mapping[str, Value]) -> int:
    """How many ids the model takes: the rows of the smallest table that they are looked up in; 0 for no ids."""
    ids, lengths = {source.name}, []
    for node in needed:
        if node.op_type in {"Cast", "Identity"} and node.input[0] in ids:
            ids.add(node.output[0])
        elif node.op_type == "Gather" and node.input[1] in ids and node.input[0] in constants:
            lengths.append((constants[node.input[0]].shape or (0,))[0] or 0)
    return min(lengths, default=0) if len(source.shape or ()) == 2 else 0


def all_ids(source: Value, length: int) -> Value:
    """The input of such a model, with what it holds for each id."""
    ids = np.arange(length, dtype=onnx.helper.tensor_dtype_to_np_dtype(source.dtype))
    return replace(source, by_id=ids[np.newaxis])


def made_by_id(
    node: onnx.NodeProto, inputs: Sequence[Value | None], opsets: Opsets, budget: Budget
) -> list[Value] | None:
    """The output of a node as what it is for each id, None if it is something else."""
    present = [value for value in inputs if value is not None]
    sources = [value for value in present if value.by_id is not None]
    if not sources or node.op_type not in PER_ID or any(v.constant is None and v.by_id is None for v in present):
        return None
    arrays = [value.by_id for value in sources if value.by_id is not None]
    rank, length = arrays[0].ndim, arrays[0].shape[1]
    if any(array.ndim != rank for array in arrays) or not all(_keeps_places(node, v, rank) for v in present):
        return None
    stand_ins = [value and (value if value.by_id is None else constant(value.name, value.by_id)) for value in inputs]
    made = evaluate(node, stand_ins, opsets, budget)
    elements = made[0].constant if made else None
    if made is None or elements is None or elements.shape[:2] != (1, length):
        return None
    shape = (*(sources[0].shape or ())[:2], *elements.shape[2:])
    return [Value(made[0].name, made[0].dtype, shape, is_activation=True, by_id=elements)]


def _keeps_places(node: onnx.NodeProto, operand: Value, rank: int) -> bool:
    """Whether an operand does not tell one place of a text from another, nor pick places."""
    if node.op_type == "Gather":
        return (operand.constant is not None) == (operand.name == str(node.input[0]))
    if operand.constant is None or operand.constant.size == 1:
        return True
    return node.op_type in {"DequantizeLinear", "Unsqueeze"} or operand.constant.ndim <= rank - 2


def begun(read: Mapping[str, Constant]) -> tuple[str, Array, list[Node]]:
    """Name and table of what the graph begins with, and the nodes that make of it each value that it reads."""
    columns = {name: np.asarray(array[0].reshape(array.shape[1], -1), np.float32) for name, array in read.items()}
    if len(read) == 1:
        (name, array), (only,) = next(iter(read.items())), columns.values()
        if array.ndim == 3:
            return name, only, []
    table = np.concatenate(list(columns.values()), axis=1)
    nodes, before = [], 0
    for name, array in read.items():
        width = math.prod(array.shape[2:])
        crop = Pad(((0, 0), (-before, before + width - table.shape[1])))
        cut = f"{name}#columns"
        nodes.append(Node(cut, "Gather", crop, (ROWS,), cut))
        nodes.append(Node(f"{name}#shape", "Gather", Reshape((-1, *array.shape[2:])), (cut,), name))
        before += width
    return ROWS, table, nodes
